"""The ways of drafting that `bench_drafting` compares, each an engine with a memory of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from umbrella_engine.config import DraftConfig
from umbrella_engine.cuda.captured import Captured
from umbrella_engine.cuda.choice import Choice
from umbrella_engine.cuda.device_loop import DeviceLoop
from umbrella_engine.cuda.shapes import TreeShape, shapes_of
from umbrella_engine.device_steps import DeviceSteps, HostSteps
from umbrella_engine.draft import Checkpoint, Draft, Drafter, presets
from umbrella_engine.draft.presets import Parts
from umbrella_engine.draft.references import References
from umbrella_engine.draft.texts import Texts
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.load import Models
from umbrella_engine.shape.choice import fastest, predict
from umbrella_engine.shape.costs import Costs, Prices
from umbrella_engine.shape.tuning import Tuning
from umbrella_engine.tree import ROOT, Tree
from umbrella_engine.tune import PRESETS

LIKELY = 0.5  # a copy's first token; below it "choice" asks the draft model


class ChoiceDrafter:
    """A copy of earlier text where one is likely, else the draft model."""

    def __init__(self, parts: Parts) -> None:
        self._copies = presets.make("suffix", parts)
        self._model = presets.make("dynamic", parts)

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        with self._copies.begin(ids) as copies, self._model.begin(ids) as model:
            yield ChoiceDraft(copies, model)


@dataclass(slots=True)
class ChoiceDraft:
    copies: Draft
    model: Draft

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        copy = self.copies.propose(room, owed, checkpoint)
        firsts = zip(copy.parents, copy.probabilities, strict=True)
        if any(parent == ROOT and likely >= LIKELY for parent, likely in firsts):
            return copy
        return self.model.propose(room, owed, checkpoint)

    def accept(self, tokens: Sequence[int]) -> None:
        self.copies.accept(tokens)
        self.model.accept(tokens)


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
    """Give every method of the host."""

    def own() -> Parts:
        return replace(parts, references=References(parts.config.suffix_min_match))

    made = {name: presets.make(name, own()) for name in PRESETS}
    return {**made, "choice": ChoiceDrafter(own())}


def host_engines(models: Models, parts: Parts) -> dict[str, SpeculativeEngine]:
    """Give every method with the host in the loop."""
    return {
        name: _engine(models, drafter, HostSteps()) for name, drafter in drafters(parts).items()
    }


def device_engines(
    models: Models, parts: Parts, captured: Captured
) -> dict[str, SpeculativeEngine]:
    """Give every method whose steps the device takes by itself."""
    made = {}
    free = replace(parts, model=None)  # the draft model works on the device
    for name in PRESETS:
        references = References(parts.config.suffix_min_match)
        texts = Texts(models.tokenizer.fim, references)
        drafter = presets.make(name, replace(free, references=references))
        loop = captured.loop(name, texts, parts.acceptance[0])
        made[name] = _engine(models, drafter, loop)
    choice = Choice(captured.costs, one_source(captured.config), parts.acceptance[0])
    texts = Texts(models.tokenizer.fim, References())
    drafter = presets.make("suffix", free)
    loop = DeviceLoop(captured.stepper, captured.draft, choice, texts)
    return {**made, "choice": _engine(models, drafter, loop)}


def one_source(config: DraftConfig) -> list[TreeShape]:
    """Give the trees of copies and those of the draft model, none of both."""
    asked = (shapes_of(name, config) for name in ("suffix", "chain", "dynamic"))
    return [*dict.fromkeys(shape for shapes in asked for shape in shapes)]


def _engine(models: Models, drafter: Drafter, device: DeviceSteps) -> SpeculativeEngine:
    return SpeculativeEngine(
        models.info, models.tokenizer, models.target, drafter, models.healing, device=device
    )
