"""How much of a prompt is computed again for each typed character.

Usage: python -m tests.bench.bench_typing TARGET [DRAFT] [--characters 60] [--dtype auto]

Types code into the middle of a file of the standard library, character by character, and asks for a
completion after each one. TARGET and DRAFT are safetensors folders or GGUF files. The last line is
JSON; the exit status says whether every keystroke computed at most eight tokens more than it typed.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.bench.bench_pair import library_source
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine import (
    DraftConfig,
    Engine,
    EngineConfig,
    Limits,
    ModelSource,
    PairConfig,
    Stats,
)
from umbrella_engine.load import load

TYPED = """\
    def count_keys(self, text, minimum=1):
        words = [word.strip() for word in text.split(",")]
        return len([word for word in words if len(word) >= minimum])
"""
MOST_EXTRA = 8  # tokens computed beyond the characters typed


@dataclass(frozen=True, slots=True)
class Keystroke:
    """What one typed character cost."""

    character: str
    prompt_tokens: int
    reused: int
    prefilled: int
    steps: int
    ms: float


def type_code(engine: Engine, characters: int, settings: PromptSettings) -> Iterator[Keystroke]:
    """Type into a class of the standard library; the first request warms the cache."""
    before, after = library_source("configparser.py").split("    def sections(self):", 1)
    after = "    def sections(self):" + after
    for count in range(characters + 1):
        request = Complete(
            id=count,
            document="configparser.py",
            version=count,
            language="python",
            path="configparser.py",
            prefix=before + TYPED[:count],
            suffix="\n\n" + after,
        )
        prompt = build_prompt(request, engine.tokenizer, settings, 2048)
        stats = Stats()
        limits = Limits(8 + len(prompt.owed), engine.tokenizer.stop_ids)
        for _ in engine.generate(prompt.ids, limits, lambda: False, owed=prompt.owed, stats=stats):
            pass
        if count:
            yield Keystroke(
                character=TYPED[count - 1],
                prompt_tokens=stats.prompt_tokens,
                reused=stats.reused_tokens,
                prefilled=stats.prefilled_tokens,
                steps=stats.target_steps,
                ms=round(sum(stats.ms.values()), 1),
            )


def main() -> int:
    """Type and report."""
    parser = argparse.ArgumentParser(description="Tokens computed for each typed character.")
    parser.add_argument("target", type=Path)
    parser.add_argument("draft", type=Path, nargs="?")
    parser.add_argument("--characters", type=int, default=60)
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    console = Console(stderr=True)
    pair = PairConfig(
        name="typing",
        target=ModelSource(path=str(options.target)),
        draft=ModelSource(path=str(options.draft)) if options.draft else None,
    )
    store = Path(tempfile.gettempdir()) / "umbrella-bench-models"
    engine = load(
        pair, EngineConfig(dtype=options.dtype), DraftConfig(), store, lambda _progress: None
    )
    table = Table("typed", "prompt", "reused", "computed", "steps", "ms")
    keystrokes = []
    for key in type_code(engine, options.characters, PromptSettings()):
        keystrokes.append(key)
        table.add_row(repr(key.character), *(str(v) for v in list(asdict(key).values())[1:]))
    console.print(table)
    computed = [key.prefilled for key in keystrokes]
    report = {
        "keystrokes": len(computed),
        "prompt_tokens": keystrokes[-1].prompt_tokens,
        "computed_p50": median(computed),
        "computed_max": max(computed),
        "ms_p50": median(key.ms for key in keystrokes),
        "device": engine.info.device,
        "dtype": engine.info.dtype,
    }
    print(json.dumps(report))
    return 0 if max(computed) <= 1 + MOST_EXTRA else 1


if __name__ == "__main__":
    sys.exit(main())
