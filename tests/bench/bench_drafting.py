"""Every way of drafting on a real pair: accepted tokens a target step, tokens a second, same text.

Usage: python -m tests.bench.bench_drafting TARGET DRAFT [--prompts 8] [--tokens 48]
           [--groups fresh edits long] [--dtype float32] [--seconds 80] [--projection COSTS.json]

TARGET and DRAFT are safetensors folders or GGUF files of one vocabulary with fill-in-the-middle
tokens. The pair is tuned first, as `umbrella tune` does; "auto" marks what it chose. Times leave
the prompt out: both models have read it before. "choice" is what most engines do: a copy of earlier
text where one is likely, else the draft model, never both. A projection prices the same texts with
other costs: {"name": {"target": {"rows": [1, 64], "ms": [4.2, 4.9]}, "draft": {…}, "step_ms": .1}}.
On a GPU "graph" rows are the same presets with the draft model inside the device's own steps. The
last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench.prompts import GROUPS, prompts
from umbrella_daemon.resident.prompt import Prompt
from umbrella_engine import DraftConfig, EngineConfig, Limits, ModelSource, PairConfig, Stats
from umbrella_engine.draft import Checkpoint, Draft, Drafter, presets
from umbrella_engine.draft.presets import Parts
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.load import Models, load_models, subject_of
from umbrella_engine.shape import Shape
from umbrella_engine.shape.choice import Preset, fastest, predict
from umbrella_engine.shape.costs import Costs, Prices
from umbrella_engine.shape.tuning import Tuning
from umbrella_engine.tree import ROOT, Tree
from umbrella_engine.tune import WITH_DRAFT, Tuner
from umbrella_engine.tune.corpus import default_folder
from umbrella_engine.tune.replay import Trial

LIKELY = 0.5  # a copy's first token; below it "choice" asks the draft model
MEASURED = ("accepted_per_step", "nodes_per_step", "tokens_per_second", "same_text")
PROJECTED = ("accepted_per_step", "tokens_per_second")
SHORT_NAMES = {
    "accepted_per_step": "acc",
    "nodes_per_step": "nodes",
    "tokens_per_second": "tok/s",
    "same_text": "same",
}
METHODS: tuple[Preset, ...] = ("none", *WITH_DRAFT)


class ChoiceDrafter:
    """A copy of earlier text where one is likely, else the draft model."""

    def __init__(self, parts: Parts) -> None:
        self._copies = presets.make("suffix", parts)
        self._model = presets.make("dynamic", parts)

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        with self._copies.begin(ids) as copies, self._model.begin(ids) as model:
            yield ChoiceDraft(copies, model)


class ChoiceDraft:
    def __init__(self, copies: Draft, model: Draft) -> None:
        self._copies, self._model = copies, model

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        copy = self._copies.propose(room, owed, checkpoint)
        firsts = zip(copy.parents, copy.probabilities, strict=True)
        if any(parent == ROOT and likely >= LIKELY for parent, likely in firsts):
            return copy
        return self._model.propose(room, owed, checkpoint)

    def accept(self, tokens: Sequence[int]) -> None:
        self._copies.accept(tokens)
        self._model.accept(tokens)


@dataclass
class Cell:
    """What one method did on one group."""

    stats: Stats = field(default_factory=Stats)
    seconds: float = 0.0
    texts: list[list[int]] = field(default_factory=list)

    def add(self, stats: Stats, seconds: float, text: list[int]) -> None:
        self.texts.append(text)
        self.seconds += seconds
        self.stats.target_steps += stats.target_steps
        self.stats.accepted_tokens += stats.accepted_tokens
        self.stats.drafted_tokens += stats.drafted_tokens
        self.stats.generated_tokens += stats.generated_tokens

    def row(self, plain: "Cell") -> dict[str, Any]:
        steps = max(1, self.stats.target_steps)
        return {
            "accepted_per_step": round(self.stats.accepted_tokens / steps, 3),
            "nodes_per_step": round(self.stats.drafted_tokens / steps, 1),
            "tokens_per_second": round(self.stats.generated_tokens / self.seconds, 2),
            "same_text": sum(a == b for a, b in zip(self.texts, plain.texts, strict=True)),
            "prompts": len(self.texts),
        }


def parts_for(models: Models, tuning: Tuning, config: DraftConfig, costs: Costs) -> Parts:
    """Gather the parts of drafters at these costs."""
    limits = config.max_nodes, config.model_depth
    pace = fastest(predict(tuning.acceptance, costs, *limits))
    return Parts(
        config=config,
        healing=models.healing,
        tokenizer=models.tokenizer,
        costs=costs,
        prices=Prices(costs, 1 / pace.ms_per_token, tuning.acceptance[0]),
        acceptance=tuning.acceptance,
        calibration=tuning.calibration,
        model=models.draft,
    )


def drafters(parts: Parts) -> dict[str, Drafter]:
    """Give every method, each with a memory of its own."""
    return {**{name: presets.make(name, parts) for name in METHODS}, "choice": ChoiceDrafter(parts)}


def engines(models: Models, parts: Parts) -> dict[str, SpeculativeEngine]:
    """Give every method with the host in the loop, and on a GPU each preset without it too."""
    made = {
        name: SpeculativeEngine(
            models.info, models.tokenizer, models.target, drafter, models.healing
        )
        for name, drafter in drafters(parts).items()
    }
    if models.info.device.startswith("cuda"):
        from umbrella_engine.cuda.assemble import device_loop

        free = replace(parts, model=None)  # the draft model works on the device
        for preset in METHODS:
            loop = device_loop(models.target, models.draft, preset, parts.config, lambda *_: None)
            if loop is not None:
                made[f"graph {preset}"] = replace(
                    made[preset], drafter=presets.make(preset, free), device=loop
                )
    return made


def read_ahead(model: LanguageModel, ids: Sequence[int]) -> None:
    """Let a model read a prompt, as it has when a user types on."""
    with model.open(ids) as context:
        unread = context.prefill(ids[context.length :], lambda: None)
        context.evaluate(unread, Tree())


def run(
    models: Models,
    methods: dict[str, SpeculativeEngine],
    group: Sequence[Prompt],
    limits: Limits,
) -> dict[str, Cell]:
    """Let every method complete every prompt, in an order that turns from prompt to prompt."""
    cells = {name: Cell() for name in methods}
    for turn, prompt in enumerate(track(group, console=Console(stderr=True))):
        names = [*methods][turn % len(methods) :] + [*methods][: turn % len(methods)]
        for name in names:
            for model in (models.target, models.draft):
                if model is not None:
                    read_ahead(model, prompt.ids)
            stats, began = Stats(), time.perf_counter()
            steps = methods[name].generate(
                prompt.ids, limits, lambda: False, owed=prompt.owed, stats=stats
            )
            text = [token for step in steps for token in step.tokens]
            cells[name].add(stats, time.perf_counter() - began, text)
    return cells


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


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Every way of drafting on a real pair.")
    parser.add_argument("target", type=Path)
    parser.add_argument("draft", type=Path)
    parser.add_argument("--prompts", type=int, default=8, help="of each group")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--depth", type=int, default=DraftConfig().model_depth)
    parser.add_argument("--nodes", type=int, default=DraftConfig().max_nodes)
    parser.add_argument("--seconds", type=float, default=80.0, help="for tuning")
    parser.add_argument("--projection", type=Path, help="costs of other models, JSON")
    return parser.parse_args()


def main() -> int:
    """Run the comparison; the exit status says whether all texts are the same."""
    options = arguments()
    console = Console(stderr=True, width=170)
    pair = PairConfig(
        name=options.target.stem,
        target=ModelSource(path=str(options.target)),
        draft=ModelSource(path=str(options.draft)),
    )
    engine = EngineConfig(device=options.device, dtype=options.dtype, context_tokens=3072)
    config = DraftConfig(model_depth=options.depth, max_nodes=options.nodes)
    cache = Path(tempfile.gettempdir()) / "umbrella-bench-models"
    models = load_models(pair, engine, config, cache, lambda _: None)
    tuner = Tuner(models, config, options.seconds, lambda _: None)
    tuning = tuner.run(subject_of(pair, engine), default_folder())
    console.print(f"auto: {tuning.chosen.preset}; costs {tuning.costs}", highlight=False)
    limits = Limits(options.tokens, models.tokenizer.stop_ids)
    projections: dict[str, Costs] = {}
    if options.projection:
        projections = msgspec.json.decode(options.projection.read_bytes(), type=dict[str, Costs])
    results: dict[str, dict[str, dict[str, Any]]] = {}
    projected: dict[str, dict[str, dict[str, dict[str, float]]]] = {
        name: {} for name in projections
    }
    for group in options.groups:
        found = prompts(group, options.prompts, models.tokenizer)
        parts = parts_for(models, tuning, config, tuning.costs)
        cells = run(models, engines(models, parts), found, limits)
        results[group] = {name: cell.row(cells["none"]) for name, cell in cells.items()}
        console.print(table(f"measured, auto = {tuning.chosen.preset}", results, MEASURED))
        written = zip(found, cells["none"].texts, strict=True)
        texts = [(replace(prompt, owed=b""), text) for prompt, text in written if text]
        for name, costs in projections.items():
            parts = parts_for(models, tuning, config, costs)
            projected[name][group] = project(models, drafters(parts), texts, costs)
            console.print(table(f"projection: {name}", projected[name], PROJECTED))
    answer = {"auto": tuning.chosen.preset, "measured": results, "projected": projected}
    print(json.dumps(answer | {"tuning": msgspec.to_builtins(tuning)}))
    rows = [row for group in results.values() for row in group.values()]
    return 0 if all(row["same_text"] == row["prompts"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
