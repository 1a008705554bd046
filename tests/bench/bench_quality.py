"""What each prompt layout and each mode of healing is worth, on holes cut from real code.

Usage: python -m tests.bench.bench_quality TARGET [--humaneval FILE --items 60]
           [--sources FOLDER ...] [--each 40] [--layouts psm anchored spm] [--dtype auto]
           [--device auto] [--seconds 500] [--shard I/N] [--out FILE]

TARGET is a safetensors folder, a GGUF file or the name of a pair. Every hole is answered through
the daemon's own completer, shown or not. Per layout, healing and kind of hole: exact match of the
line (of all lines of a block), edit similarity, and how many tokens of the prompt are computed
again for the last keystroke. Ends after `--seconds` with the holes done by all combinations.
`--shard I/N` does every Nth hole from the Ith on, so that N processes share the work. Each answer
goes to `--out` as a line of JSON with the probability the model gave it, which `bench_confidence`
reads; `--table FILE ...` prints the table of such files again, without a target, each hole once.
The last line printed is JSON.
"""

import argparse
import difflib
import json
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from umbrella_daemon.bench.holes import Hole, from_folder, humaneval, languages
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import CompletionSettings, PromptSettings, Settings
from umbrella_daemon.wire import Complete, Completed
from umbrella_engine import DraftConfig, Engine, EngineConfig, ModelSource, PairConfig
from umbrella_engine.load import load

HEALING: Final = ("none", "token", "identifier")
KEYSTROKES: Final = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one hole came out under one combination."""

    layout: str
    healing: str
    source: str
    language: str
    kind: str
    right: bool
    similarity: float
    recomputed: float  # tokens per keystroke
    confidence: float
    text: str
    truth: str


def request_of(hole: Hole) -> Complete:
    """Ask for what the hole is: a block, or one line."""
    return Complete(
        id=1,
        document=hole.source,
        version=1,
        language=hole.language,
        path=hole.source,
        prefix=hole.prefix,
        suffix=hole.suffix,
        max_lines=None if hole.kind == "block" else 1,
        min_confidence=0.0,
    )


def answer(engine: Engine, hole: Hole, prompt: PromptSettings) -> Completed:
    """Complete a hole as the daemon does, without a limit of time."""
    completion = CompletionSettings(max_ms=0, max_tokens=64 if hole.kind == "block" else 48)
    settings = Settings(prompt=prompt, completion=completion)
    return Completer(engine, settings).complete(Job(1, request_of(hole), lambda _: None))


def judge(engine: Engine, hole: Hole, prompt: PromptSettings, layout: str) -> Outcome:
    """Complete a hole and compare with what stood there."""
    completed = answer(engine, hole, prompt)
    text, truth = completed.text, hole.truth
    if hole.kind != "block":
        text, truth = (one.strip("\n").split("\n")[0].rstrip() for one in (text, truth))
    return Outcome(
        layout,
        prompt.healing,
        hole.source,
        hole.language,
        hole.kind,
        text.rstrip() == truth.rstrip(),
        difflib.SequenceMatcher(None, text, truth, autojunk=False).ratio(),
        recomputed(engine, hole, prompt),
        completed.trace.confidence or 0.0,
        text,
        truth,
    )


def recomputed(engine: Engine, hole: Hole, settings: PromptSettings) -> float:
    """Give the mean of tokens that a keystroke computes again, over the last ones of the line."""
    line = hole.prefix[hole.prefix.rfind("\n") + 1 :]
    room = engine.info.context_tokens - 128
    counts, earlier = [], None
    for left in range(min(KEYSTROKES, len(line)), -1, -1):
        prefix = hole.prefix[: len(hole.prefix) - left]
        request = msgspec.structs.replace(request_of(hole), prefix=prefix)
        ids = build_prompt(request, engine.tokenizer, settings, room).ids
        if earlier is not None:
            pairs = enumerate(zip(earlier, ids, strict=False))
            same = next((n for n, (a, b) in pairs if a != b), min(len(earlier), len(ids)))
            counts.append(max(1, len(ids) - same))
        earlier = ids
    return mean(counts) if counts else 0.0


def engine_of(target: str, device: str, dtype: str) -> Engine:
    """Load a model without a draft: speculation changes no text."""
    return load(
        PairConfig(name="quality", target=ModelSource(path=target)),
        msgspec.convert({"device": device, "dtype": dtype, "context_tokens": 2048}, EngineConfig),
        DraftConfig(enabled=False),
        Path(tempfile.gettempdir()) / "umbrella-bench-models",
        lambda _progress: None,
    )


def run(
    engine: Engine, holes: list[Hole], layouts: Iterable[str], options: argparse.Namespace
) -> Iterator[list[Outcome]]:
    """Give the outcomes of one hole after the other, in time."""
    deadline = time.monotonic() + options.seconds
    base = PromptSettings(prefix_tokens=options.prefix_tokens, suffix_tokens=options.suffix_tokens)
    modes = [
        msgspec.structs.replace(base, layout=layout, healing=healing)
        for layout, healing in product(layouts, options.healing)
    ]
    for hole in track(holes, console=Console(stderr=True)):
        if time.monotonic() > deadline:
            return
        yield [judge(engine, hole, prompt, prompt.layout) for prompt in modes]


def report(outcomes: list[Outcome], console: Console) -> dict[str, object]:
    """Print the table; give it as data."""
    table = Table("layout", "healing", "kind", "holes", "exact", "similarity", "tokens / key")
    rows: dict[str, object] = {}
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes:
        groups[one.layout, one.healing, one.kind].append(one)
        groups[one.layout, one.healing, "all"].append(one)
    for (layout, healing, kind), group in sorted(groups.items()):
        figures = {
            "holes": len(group),
            "exact": round(mean(one.right for one in group), 3),
            "similarity": round(mean(one.similarity for one in group), 3),
            "recomputed": round(mean(one.recomputed for one in group), 1),
        }
        rows[f"{layout}/{healing}/{kind}"] = figures
        table.add_row(layout, healing, kind, *(str(value) for value in figures.values()))
    console.print(table)
    return rows


def read(paths: Iterable[Path]) -> list[Outcome]:
    """Read outcomes, those of a hole once."""
    lines = [line for path in paths for line in path.read_text("utf-8").splitlines()]
    found = [msgspec.json.decode(line, type=Outcome) for line in lines]
    unique = {
        (one.layout, one.healing, one.source, one.kind, one.truth, one.language): one
        for one in found
    }
    return list(unique.values())


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Quality by layout and healing.")
    parser.add_argument("target", nargs="?")
    parser.add_argument("--table", type=Path, nargs="+")
    parser.add_argument("--humaneval", type=Path)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--sources", type=Path, nargs="*", default=[])
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--layouts", nargs="+", default=["psm", "anchored", "spm"])
    parser.add_argument("--healing", nargs="+", default=HEALING, choices=HEALING)
    parser.add_argument("--prefix-tokens", type=int, default=512)
    parser.add_argument("--suffix-tokens", type=int, default=128)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--seconds", type=float, default=500)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    console = Console(stderr=True)
    if options.table:
        print(json.dumps(report(read(options.table), console)))
        return 0
    if options.target is None:
        parser.error("a TARGET is needed, or --table")
    engine = engine_of(options.target, options.device, options.dtype)
    holes = humaneval(options.humaneval, options.items, options.seed) if options.humaneval else []
    for folder in options.sources:
        holes += from_folder(folder, options.each, options.seed)
    random.Random(options.seed).shuffle(holes)  # what time allows is a fair sample
    shard, shards = map(int, options.shard.split("/"))
    holes = holes[shard - 1 :: shards]
    console.print({"holes": len(holes), **dict(languages(holes))})
    layouts = ["plain"] if engine.tokenizer.fim is None else options.layouts
    outcomes: list[Outcome] = []
    for done in run(engine, holes, layouts, options):
        outcomes += done
        if options.out:
            with options.out.open("a") as out:
                out.writelines(json.dumps(msgspec.to_builtins(one)) + "\n" for one in done)
    print(json.dumps(report(outcomes, console)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
