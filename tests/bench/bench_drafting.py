"""Every way of drafting on a real pair: accepted tokens a target step, tokens a second, same text.

Usage: python -m tests.bench.bench_drafting TARGET DRAFT [--prompts 24] [--tokens 64] [--rounds 3]
           [--groups fresh edits long] [--dtype float32] [--seconds 15] [--budget 45]
           [--projection COSTS.json] [--host] [--rehearse]

TARGET and DRAFT are safetensors folders or GGUF files of one vocabulary with fill-in-the-middle
tokens. The pair is tuned first, as `umbrella tune` does; "auto" marks what it chose. Times leave
the prompt out: both models have read it before. Methods take turns on each prompt, `rounds` times
with separate memories; the median time of a prompt counts. Prompts are taken until `budget` seconds
are spent, a third of them for each group.

On a GPU the device takes the steps by itself; `--host` adds the same presets with the host in the
loop, which is all there is on a CPU. `--rehearse` lets the slow twin take the device's steps on a
CPU: its times mean nothing. "choice" is what most engines do: a copy of earlier text where that
pays, else the draft model, never both. A projection prices texts of the target with other costs:
{"7B": {"target": {"rows": [1, 64], "ms": [4.2, 4.9]}, "draft": {...}, "step_ms": 0.1}}, or the last
line of `bench_gpu` with the shapes 7B or 32B and 0.5B. The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from tests.bench.drafting_methods import device_engines, drafters, host_engines, parts_for
from tests.bench.prompts import GROUPS, prompts
from umbrella_daemon.resident.prompt import Prompt
from umbrella_engine import DraftConfig, EngineConfig, Limits, ModelSource, PairConfig, Stats
from umbrella_engine.cuda.captured import Captured
from umbrella_engine.cuda.shapes import shapes_of
from umbrella_engine.draft import Drafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.interface import Progress
from umbrella_engine.load import Models, capture_steps, load_models, subject_of
from umbrella_engine.shape import Shape
from umbrella_engine.shape.costs import Costs, Curve
from umbrella_engine.shape.tuning import Tuning
from umbrella_engine.tune import PRESETS, Tuner
from umbrella_engine.tune.corpus import default_folder
from umbrella_engine.tune.replay import Trial
from umbrella_engine.tune.running import read_ahead

SINGLE = ("chain", "static", "dynamic", "suffix")  # presets that ask one source
MEASURED = ("accepted_per_step", "ms_per_step", "tokens_per_second", "same_text")
PROJECTED = ("accepted_per_step", "tokens_per_second")
SHORT_NAMES = {
    "accepted_per_step": "acc",
    "ms_per_step": "ms",
    "tokens_per_second": "tok/s",
    "same_text": "same",
}
FEWEST_PROMPTS = 2  # of a group, whatever the time
console = Console(stderr=True, width=170)
began = time.monotonic()


def tell(message: str) -> None:
    """Say what is going on, and since when."""
    console.print(f"[{time.monotonic() - began:6.1f} s] {message}", highlight=False, markup=False)


@dataclass
class Cell:
    """What one method did on one group."""

    stats: Stats = field(default_factory=Stats)
    seconds: dict[int, list[float]] = field(default_factory=dict)  # by prompt
    texts: dict[int, list[int]] = field(default_factory=dict)

    def add(self, place: int, stats: Stats, seconds: float, text: list[int]) -> None:
        self.texts.setdefault(place, text)
        self.seconds.setdefault(place, []).append(seconds)
        self.stats.target_steps += stats.target_steps
        self.stats.accepted_tokens += stats.accepted_tokens
        self.stats.drafted_tokens += stats.drafted_tokens
        self.stats.generated_tokens += stats.generated_tokens
        for source, count in stats.accepted_by.items():
            known = self.stats.accepted_by.get(source, 0)
            self.stats.accepted_by[source] = known + count

    def row(self, plain: "Cell") -> dict[str, Any]:
        steps = max(1, self.stats.target_steps)
        spent = sum(median(times) for times in self.seconds.values())
        rounds = max(map(len, self.seconds.values()))
        return {
            "accepted_per_step": round(self.stats.accepted_tokens / steps, 3),
            "nodes_per_step": round(self.stats.drafted_tokens / steps, 1),
            "ms_per_step": round(1e3 * spent * rounds / steps, 3),
            "tokens_per_second": round(self.stats.generated_tokens / rounds / spent, 2),
            "accepted_by": dict(self.stats.accepted_by),
            "same_text": sum(plain.texts[at] == text for at, text in self.texts.items()),
            "prompts": len(self.texts),
            "steps": self.stats.target_steps,
        }


Methods = dict[str, SpeculativeEngine]


def run(
    models: Models,
    rounds: Sequence[Methods],
    group: Sequence[Prompt],
    limits: Limits,
    seconds: float,
) -> dict[str, Cell]:
    """Let every method complete every prompt, in an order that turns, as long as there is time."""
    names = [*rounds[0]]
    cells = {name: Cell() for name in names}
    end = time.monotonic() + seconds
    for place, prompt in enumerate(group):
        if place >= FEWEST_PROMPTS and time.monotonic() > end:
            break
        for turn, methods in enumerate(rounds):
            first = (place * len(rounds) + turn) % len(names)
            for name in names[first:] + names[:first]:
                cells[name].add(place, *complete(models, methods[name], prompt, limits))
    return cells


def complete(
    models: Models, engine: SpeculativeEngine, prompt: Prompt, limits: Limits
) -> tuple[Stats, float, list[int]]:
    """Time one completion behind a prompt that has been read."""
    for model in (models.target, models.draft):
        if model is not None:
            read_ahead(model, prompt.ids)
    stats, start = Stats(), time.perf_counter()
    steps = engine.generate(prompt.ids, limits, lambda: False, owed=prompt.owed, stats=stats)
    text = [token for step in steps for token in step.tokens]
    return stats, time.perf_counter() - start, text


def project(
    models: Models,
    methods: dict[str, Drafter],
    texts: Sequence[tuple[Prompt, list[int]]],
    costs: Costs,
) -> dict[str, dict[str, float]]:
    """Replay texts that the target wrote, at other costs."""
    rows = {}
    for name, drafter in methods.items():
        trial = Trial("none", drafter)
        for prompt, text in texts:
            trial.replay(prompt.ids, text, models.draft)
        plan = trial.plan(costs, Shape(), 0, 0)
        rows[name] = {
            "accepted_per_step": round(plan.tokens - 1, 3),
            "ms_per_step": round(plan.ms, 3),
            "tokens_per_second": round(1e3 / plan.ms_per_token, 1),
        }
    return rows


def table(title: str, results: dict[str, dict[str, dict[str, Any]]], keys: Sequence[str]) -> Table:
    """Lay out methods by groups."""
    shown = Table("drafting", title=title, title_justify="left")
    for group in results:
        for key in keys:
            shown.add_column(f"{group}: {SHORT_NAMES[key]}", justify="right")
    for name in next(iter(results.values())):
        cells = (str(results[group][name][key]) for group in results for key in keys)
        shown.add_row(name, *cells)
    return shown


def bars(rows: dict[str, dict[str, Any]], chosen: str) -> dict[str, float]:
    """Hold one group against what is asked of it; each is good from the number in its name on."""
    accepted = {name: row["accepted_per_step"] for name, row in rows.items()}
    speed = {name: row["tokens_per_second"] for name, row in rows.items()}
    return {
        "merged_over_best_single_accepted_1.0": accepted["merged"] / max(map(accepted.get, SINGLE)),  # type: ignore[type-var]
        "auto_over_best_speed_0.97": speed[chosen] / max(speed.values()),
        "auto_over_none_speed": speed[chosen] / speed["none"],
        "adaptive_over_best_speed": speed["adaptive"] / max(speed.values()),
    }


def read_costs(path: Path) -> dict[str, Costs]:
    """Read costs to project, or make them from what `bench_gpu` measured."""
    found = json.loads(path.read_text("utf-8").strip().splitlines()[-1])
    if "rates_tb_per_s" not in found:
        return msgspec.convert(found, dict[str, Costs])

    def curve(name: str) -> Curve:
        points = sorted((int(rows), ms) for rows, ms in found[name]["ms"].items())
        return Curve(tuple(rows for rows, _ in points), tuple(ms for _, ms in points))

    large = (name for name in ("7B", "32B") if name in found)
    return {name: Costs(curve(name), curve("0.5B")) for name in large}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Every way of drafting on a real pair.")
    parser.add_argument("target", type=Path)
    parser.add_argument("draft", type=Path)
    parser.add_argument("--prompts", type=int, default=24, help="of each group, at most")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--depth", type=int, default=DraftConfig().model_depth)
    parser.add_argument("--nodes", type=int, default=DraftConfig().max_nodes)
    parser.add_argument("--seconds", type=float, default=15.0, help="for tuning")
    parser.add_argument("--budget", type=float, default=45.0, help="seconds for the measured runs")
    parser.add_argument("--projection", type=Path, help="costs of other models, JSON")
    parser.add_argument("--projected-prompts", type=int, default=3, help="of each group")
    parser.add_argument("--host", action="store_true", help="also with the host in the loop")
    parser.add_argument("--rehearse", action="store_true", help="the device's slow twin on a CPU")
    return parser.parse_args()


def captured_steps(models: Models, config: DraftConfig, rehearse: bool) -> Captured | None:
    """Capture every preset; None where the host takes all steps."""
    if not rehearse:
        return capture_steps(models, PRESETS, config, show)
    from tests.engine.cuda.plain_stepper import PlainStepper

    assert models.draft is not None
    assert models.assumed.draft is not None
    draft = models.assumed.draft
    shapes = {shape for preset in PRESETS for shape in shapes_of(preset, config)}
    costs = {
        shape: models.assumed.target.at(1 + shape.n_nodes) + shape.depth * draft.at(shape.width)
        for shape in shapes
    }
    stepper = PlainStepper(models.target.decoder, models.draft.decoder)
    return Captured(stepper, models.draft, costs, config)


def show(progress: Progress) -> None:
    """Tell of tens of percents."""
    share = f" {progress.done}/{progress.total}" if progress.total else ""
    if not progress.total or progress.done % max(1, progress.total // 4) == 0:
        tell(progress.message + share)


def prepare(options: argparse.Namespace) -> tuple[Models, Captured | None, Tuning]:
    """Load, capture and tune the pair."""
    pair = PairConfig(
        name=options.target.stem,
        target=ModelSource(path=str(options.target)),
        draft=ModelSource(path=str(options.draft)),
    )
    engine = EngineConfig(device=options.device, dtype=options.dtype, context_tokens=3072)
    config = DraftConfig(model_depth=options.depth, max_nodes=options.nodes)
    cache = Path(tempfile.gettempdir()) / "umbrella-bench-models"
    models = load_models(pair, engine, config, cache, show)
    captured = captured_steps(models, config, options.rehearse)
    if captured is not None:
        costs = {str(shape): round(ms, 3) for shape, ms in captured.costs.items()}
        tell(f"steps of the device, ms: {costs}")
    tuner = Tuner(models, config, options.seconds, show, captured)
    tuning = tuner.run(subject_of(pair, engine), default_folder())
    tell(f"auto: {tuning.chosen.preset}; first choices right {tuning.acceptance[0]:.3f}")
    return models, captured, tuning


def main() -> int:
    """Run the comparison; the exit status says whether all texts are the same where they must."""
    options = arguments()
    models, captured, tuning = prepare(options)
    config = DraftConfig(model_depth=options.depth, max_nodes=options.nodes)
    limits = Limits(options.tokens, models.tokenizer.stop_ids)
    projections = read_costs(options.projection) if options.projection else {}
    own_parts = partial(parts_for, models, tuning, config)

    def methods() -> Methods:
        parts = own_parts(tuning.costs)
        if captured is None:
            return host_engines(models, parts)
        made = device_engines(models, parts, captured)
        hosts = host_engines(models, parts) if options.host else {}
        return made | {f"host {name}": engine for name, engine in hosts.items()}

    results: dict[str, dict[str, dict[str, Any]]] = {}
    projected: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in projections}
    for group in options.groups:
        found = prompts(group, options.prompts, models.tokenizer)
        tell(f"{group}: warming up")
        run(models, [methods()], found[-1:], Limits(24), 0.0)
        rounds = [methods() for _ in range(options.rounds)]
        seconds = options.budget / len(options.groups)
        cells = run(models, rounds, found[:-1] or found, limits, seconds)
        results[group] = {name: cell.row(cells["none"]) for name, cell in cells.items()}
        tell(f"{group}: {len(cells['none'].texts)} prompts, {options.rounds} rounds")
        console.print(table(f"measured, auto = {tuning.chosen.preset}", results, MEASURED))
        texts = [
            (replace(found[at], owed=b""), text) for at, text in cells["none"].texts.items() if text
        ][: options.projected_prompts]
        for name, costs in projections.items():
            projected[name][group] = project(models, drafters(own_parts(costs)), texts, costs)
            console.print(table(f"projection: {name}", projected[name], PROJECTED))
    held = {group: bars(rows, tuning.chosen.preset) for group, rows in results.items()}
    for group, numbers in held.items():
        tell(f"{group}: " + ", ".join(f"{name} {ratio:.3f}" for name, ratio in numbers.items()))
    answer = {
        "auto": tuning.chosen.preset,
        "device": models.info.device,
        "dtype": models.info.dtype,
        "rehearsed": options.rehearse,
        "bars": held,
        "measured": results,
        "projected": projected,
        "step_ms": {str(shape): ms for shape, ms in captured.costs.items()} if captured else {},
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(answer | {"tuning": msgspec.to_builtins(tuning)}))
    rows = [row for group in results.values() for row in group.values()]
    exact = all(row["same_text"] == row["prompts"] for row in rows)
    return 0 if exact or models.info.dtype != "float32" else 1


if __name__ == "__main__":
    sys.exit(main())
