"""Presets held against each other by running them, where a device takes the steps by itself.

What a step costs there cannot be put together from single passes, and running all presets takes
seconds. They take turns, and each has a memory of its own.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from umbrella_engine.cuda.captured import Captured
from umbrella_engine.draft import presets
from umbrella_engine.draft.presets import Parts
from umbrella_engine.draft.references import References
from umbrella_engine.draft.texts import Texts
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.interface import Limits
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.load import Models
from umbrella_engine.shape import Shape
from umbrella_engine.shape.choice import Plan, Preset
from umbrella_engine.stats import Stats
from umbrella_engine.tree import Tree


@dataclass(slots=True)
class Runner:
    """One preset and what it did so far."""

    preset: Preset
    engine: SpeculativeEngine
    tokens: int = 0
    steps: int = 0
    seconds: float = 0.0

    def run(self, prompt: Sequence[int], count: int) -> None:
        """Write `count` tokens after a prompt that has been read."""
        stats, began = Stats(), time.perf_counter()
        for _ in self.engine.generate(prompt, Limits(count), lambda: False, stats=stats):
            pass
        self.seconds += time.perf_counter() - began
        self.tokens += stats.generated_tokens
        self.steps += stats.target_steps

    def plan(self, depth: int, nodes: int) -> Plan:
        """Give what it came to within these limits."""
        ms = 1e3 * self.seconds / self.steps
        return Plan(self.preset, self.tokens / self.steps, ms, Shape(), depth, nodes)


@dataclass(slots=True)
class Race:
    """All presets on the same prompts."""

    models: Models
    runners: Sequence[Runner]
    turn: int = field(default=0)

    def run(self, prompt: Sequence[int], count: int) -> None:
        """Let every preset write `count` tokens, another one first each time."""
        for place in range(len(self.runners)):
            runner = self.runners[(self.turn + place) % len(self.runners)]
            for model in (self.models.target, self.models.draft):
                if model is not None:
                    read_ahead(model, prompt)
            runner.run(prompt, count)
        self.turn += 1


def race(models: Models, captured: Captured, parts: Parts, names: Sequence[Preset]) -> Race:
    """Set up presets that were captured."""
    runners = []
    for name in names:
        references = References(parts.config.suffix_min_match)
        own = replace(parts, model=None, references=references)
        engine = SpeculativeEngine(
            models.info,
            models.tokenizer,
            models.target,
            presets.make(name, own),
            models.healing,
            references=references,
            device=captured.loop(
                name, Texts(models.tokenizer.fim, references), parts.acceptance[0]
            ),
        )
        runners.append(Runner(name, engine))
    return Race(models, runners)


def read_ahead(model: LanguageModel, ids: Sequence[int]) -> None:
    """Let a model read a prompt, as it has when a user types on; returns when it has."""
    with model.open(ids) as context:
        unread = context.prefill(ids[context.length :], lambda: None)
        context.evaluate(unread, Tree())[0, 0].item()
