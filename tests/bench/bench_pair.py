"""A real target + draft pair in fp32: same text with and without speculation, accepted per step.

Usage: python -m tests.bench.bench_pair TARGET DRAFT [--prompts 10] [--tokens 16]

TARGET and DRAFT are safetensors folders or GGUF files of one vocabulary with fill-in-the-middle
tokens (say Qwen2.5-Coder 1.5B and 0.5B). Prompts are holes cut from the standard library. The last
line is JSON. Needs about 10 GB of memory and, on two cores, 15 minutes.
"""

import argparse
import json
import random
import sys
import sysconfig
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine import DraftConfig, EngineConfig, Limits, ModelSource, PairConfig, Stats
from umbrella_engine.draft.growth import DynamicGrowth, Growth, StaticGrowth
from umbrella_engine.draft.merge import MergedDrafter
from umbrella_engine.draft.model import ModelDrafter
from umbrella_engine.draft.none import NoDrafter
from umbrella_engine.draft.retyped import RetypedDrafter
from umbrella_engine.draft.suffix import SuffixDrafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.load import load
from umbrella_engine.shape import chain
from umbrella_engine.shape.costs import FREE

FILES = (
    "argparse.py", "ast.py", "configparser.py", "csv.py", "dataclasses.py", "difflib.py",
    "fractions.py", "gzip.py", "heapq.py", "inspect.py", "json/decoder.py", "logging/handlers.py",
    "mailbox.py", "pathlib.py", "shelve.py", "shlex.py", "statistics.py", "textwrap.py",
    "tokenize.py", "zipfile.py",
)  # fmt: skip


def library_source(name: str) -> str:
    """Give the text of a file of the standard library, "" where this Python has none."""
    path = Path(sysconfig.get_paths()["stdlib"]) / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def holes(count: int, seed: int = 11) -> list[Complete]:
    """Cut four lines out of each file, from a random place of a code line on."""
    rng = random.Random(seed)
    requests: list[Complete] = []
    for name in FILES:
        lines = library_source(name).splitlines(keepends=True)
        places = [i for i, line in enumerate(lines) if i > 60 and len(line.strip()) > 20]
        if not places:
            continue
        row = rng.choice(places)
        column = rng.randint(len(lines[row]) - len(lines[row].lstrip()), len(lines[row]) - 2)
        requests.append(
            Complete(
                id=len(requests),
                document=name,
                version=1,
                language="python",
                path=name,
                prefix="".join(lines[:row]) + lines[row][:column],
                suffix="\n" + "".join(lines[row + 4 :]),
            )
        )
    return requests[:count]


def speculations(
    engine: SpeculativeEngine, model: LanguageModel, depths: list[int], widths: list[int]
) -> dict[str, SpeculativeEngine]:
    """Put the same resident pair behind different drafters, at whatever cost."""
    retyped = RetypedDrafter(engine.tokenizer)
    engines = {"none": replace(engine, drafter=NoDrafter())}
    for depth in depths:
        for width in widths:
            grown = ModelDrafter(model, growth(depth, width), engine.healing)
            drafter = MergedDrafter([retyped, grown], 64, engine.healing)
            engines[f"depth {depth}, width {width}"] = replace(engine, drafter=drafter)
    grown = ModelDrafter(model, growth(depths[-1], 2), engine.healing)
    copies = SuffixDrafter(DraftConfig(), engine.healing, engine.tokenizer.fim)
    merged = MergedDrafter([retyped, grown, copies], 64, engine.healing)
    engines[f"depth {depths[-1]}, width 2, suffix"] = replace(engine, drafter=merged)
    return engines


def growth(depth: int, width: int) -> Growth:
    """Give a chain for width 1, else the depth · width likeliest nodes."""
    if width == 1:
        return StaticGrowth(chain(depth))
    return DynamicGrowth(depth, width, depth * width, FREE)


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Accepted tokens of a pair.")
    parser.add_argument("target", type=Path)
    parser.add_argument("draft", type=Path)
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--depths", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    console = Console(stderr=True)
    engine, draft = (
        load(
            PairConfig(name=path.stem, target=ModelSource(path=str(path))),
            EngineConfig(dtype=options.dtype, context_tokens=1024),
            DraftConfig(max_nodes=64),
            Path(tempfile.gettempdir()) / "umbrella-bench-models",
            lambda _progress: None,
        )
        for path in (options.target, options.draft)
    )
    engines = speculations(engine, draft.target, options.depths, options.widths)
    limits = Limits(options.tokens, engine.tokenizer.stop_ids)
    texts: dict[str, list[list[int]]] = {name: [] for name in engines}
    totals = {name: Stats() for name in engines}
    settings = PromptSettings(prefix_tokens=384, suffix_tokens=128)
    for request in track(holes(options.prompts), console=console):
        prompt = build_prompt(request, engine.tokenizer, settings, 768)
        for name, candidate in engines.items():
            stats = Stats()
            steps = candidate.generate(
                prompt.ids, limits, lambda: False, owed=prompt.owed, stats=stats
            )
            texts[name].append([token for step in steps for token in step.tokens])
            total = totals[name]
            total.generated_tokens += stats.generated_tokens
            total.target_steps += stats.target_steps
            total.accepted_tokens += stats.accepted_tokens
            total.drafted_tokens += stats.drafted_tokens
            for stage, ms in stats.ms.items():
                total.ms[stage] = total.ms.get(stage, 0.0) + ms
    return report(texts, totals, console)


def report(texts: dict[str, list[list[int]]], totals: dict[str, Stats], console: Console) -> int:
    """Print the table and the JSON line; the exit status says whether all texts are the same."""
    table = Table("drafting", "same text", "accepted / step", "tokens / step", "nodes / step", "s")
    rows = {}
    for name, total in totals.items():
        rows[name] = {
            "same": sum(a == b for a, b in zip(texts[name], texts["none"], strict=True)),
            "prompts": len(texts[name]),
            "accepted_per_step": round(total.accepted_tokens / total.target_steps, 3),
            "tokens_per_step": round(total.generated_tokens / total.target_steps, 3),
            "nodes_per_step": round(total.drafted_tokens / total.target_steps, 1),
            "seconds": round(sum(total.ms.values()) / 1e3, 1),
        }
        table.add_row(name, *(str(value) for key, value in rows[name].items() if key != "prompts"))
    console.print(table)
    print(json.dumps(rows))
    return 0 if all(row["same"] == row["prompts"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
