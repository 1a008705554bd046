"""How far the model's own probability of an answer can be trusted, and what a threshold shows.

Usage: python -m tests.bench.bench_confidence FILE [FILE ...] [--healing identifier] [--plot PNG]
           [--thresholds 0.05 0.1 0.2 0.3 0.5]

FILE is what `bench_quality --out` wrote. Holes are parted into two halves by their file's name: the
first chooses nothing but is shown beside the second, so that a threshold chosen on one is seen on
the other. Prints how often answers of each probability are right, and per threshold how often what
is shown is right and what is hidden would have been. The last line is JSON; the exit status says
whether, at the default threshold, shown answers of the second half are right at least 1.5 times as
often as hidden ones.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, Final
from zlib import crc32

from rich.console import Console
from rich.table import Table

from umbrella_daemon.settings import CompletionSettings

BINS: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.001)
WANTED: Final = 1.5


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: what the model thought of it, and whether it was right."""

    confidence: float
    right: bool
    held_out: bool


def read(paths: Sequence[Path], healing: str) -> list[Answered]:
    """Read the answers of one mode of healing that said anything."""
    found = []
    for path in paths:
        for line in path.read_text("utf-8").splitlines():
            one: dict[str, Any] = json.loads(line)
            if one["healing"] == healing and one["text"].strip():
                held_out = crc32(one["source"].encode()) % 2 == 1
                found.append(Answered(one["confidence"], one["right"], held_out))
    return found


def reliability(answers: Sequence[Answered]) -> list[tuple[float, float, int, float, float]]:
    """Give per bin: its bounds, how many answers, their mean probability, the share right."""
    rows = []
    for low, high in pairwise(BINS):
        inside = [one for one in answers if low <= one.confidence < high]
        if inside:
            told = mean(one.confidence for one in inside)
            rows.append((low, min(high, 1.0), len(inside), told, mean(o.right for o in inside)))
    return rows


def split(answers: Sequence[Answered], threshold: float) -> dict[str, float]:
    """Give what a threshold shows and hides."""
    shown = [one.right for one in answers if one.confidence >= threshold]
    hidden = [one.right for one in answers if one.confidence < threshold]
    right = mean(shown) if shown else 0.0
    missed = mean(hidden) if hidden else 0.0
    return {
        "threshold": threshold,
        "shown": len(shown),
        "shown_right": round(right, 3),
        "hidden": len(hidden),
        "hidden_right": round(missed, 3),
        "ratio": round(right / missed, 2) if missed else float("inf"),
    }


def draw(answers: Sequence[Answered], path: Path) -> None:
    """Draw told against true; needs matplotlib."""
    from matplotlib.figure import Figure

    rows = reliability(answers)
    figure = Figure(figsize=(4, 4))
    axes = figure.add_subplot(xlabel="probability told", ylabel="share right")
    axes.plot([0, 1], [0, 1], linestyle=":", color="gray")
    axes.plot([row[3] for row in rows], [row[4] for row in rows], marker="o")
    figure.savefig(path, bbox_inches="tight")


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="Reliability of the model's probabilities.")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--healing", default="identifier")
    parser.add_argument(
        "--thresholds", type=float, nargs="+", default=[0.02, 0.05, 0.1, 0.2, 0.3, 0.5]
    )
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    answers = read(options.files, options.healing)
    console = Console(stderr=True)
    table = Table("told", "answers", "mean told", "right")
    for low, high, count, told, right in reliability(answers):
        table.add_row(f"{low:g} - {high:g}", str(count), f"{told:.2f}", f"{right:.2f}")
    console.print(table)
    halves = {
        name: [one for one in answers if one.held_out is held_out]
        for name, held_out in (("first half", False), ("second half", True))
    }
    default = CompletionSettings().min_confidence
    table = Table("half", *split(answers, default))
    for name, half in halves.items():
        for threshold in sorted({default, *options.thresholds}):
            table.add_row(name, *(f"{value:g}" for value in split(half, threshold).values()))
    console.print(table)
    if options.plot:
        draw(answers, options.plot)
    result = split(halves["second half"], default)
    print(json.dumps({"answers": len(answers), "held_out": result}))
    return 0 if result["ratio"] >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
