"""Our engine as writers: as the daemon loads it, and without drafting beside it."""

import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from umbrella_daemon.bench.result import BenchError, Subject
from umbrella_daemon.bench.stamp import File, weights
from umbrella_daemon.bench.writing import Ask, Written
from umbrella_daemon.paths import models_directory, tunings_directory
from umbrella_daemon.resident.loading import SCRIPTED
from umbrella_daemon.settings import Settings
from umbrella_engine.config import DraftPreset, PairConfig
from umbrella_engine.interface import GREEDY, Engine, Limits, Report, Sampling
from umbrella_engine.stats import Stats

if TYPE_CHECKING:
    from umbrella_engine.load import Models

DRAFTED = "umbrella"
PLAIN = "umbrella, no drafts"


@dataclass(frozen=True, slots=True)
class EngineWriter:
    """Writes with an engine; ends where the model does, at one of `stop_ids`."""

    name: str
    engine: Engine
    stop_ids: frozenset[int] = frozenset()
    sampling: Sampling = GREEDY

    def write(self, ask: Ask, count: int) -> Written:
        """Give at most `count` new tokens behind a prompt."""
        stats, written = Stats(), Written()
        began = time.perf_counter()
        steps = self.engine.generate(
            ask.ids,
            Limits(count, self.stop_ids),
            lambda: False,
            owed=ask.owed,
            stats=stats,
            sampling=self.sampling,
        )
        with closing(steps):  # type: ignore[type-var]  # a generator, as all engines give
            for step in steps:
                if not written.tokens:
                    written.first_ms = (time.perf_counter() - began) * 1e3
                    written.first_tokens = len(step.tokens)
                written.tokens += step.tokens
        written.total_ms = (time.perf_counter() - began) * 1e3
        written.first_ms = written.first_ms or written.total_ms  # where nothing was written
        written.steps = stats.target_steps
        written.accepted, written.drafted = stats.accepted_tokens, stats.drafted_tokens
        written.prefilled = stats.prefilled_tokens
        return written


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads the pair of the settings, once for each way of drafting."""

    settings: Settings
    report: Report
    pair: PairConfig = field(init=False)

    def __post_init__(self) -> None:
        """Find the pair. Raises SettingsError, EngineError or BenchError."""
        from umbrella_daemon.resident.pick import pick_pair

        if self.settings.pair == SCRIPTED:
            raise BenchError("canned answers are not measured; name a pair with weights")
        object.__setattr__(self, "pair", pick_pair(self.settings)[0])

    def engine(self, *, drafts: bool = True) -> Engine:
        """Load, as the daemon does; or with nothing drafted at all."""
        from umbrella_engine.load import load

        draft = self.settings.draft
        return load(
            self.pair,
            self.settings.engine,
            draft if drafts else replace(draft, enabled=False),
            models_directory(self.settings),
            self.report,
            offline=self.settings.models.offline,
            tunings=tunings_directory() if drafts else None,
        )

    def models(self) -> "Models":
        """Load target and draft alone, whether or not steps would ask the draft.

        On a GPU all their passes are captured, kernels compiled side by side.
        """
        from umbrella_engine.load import capture_steps, load_models

        models = load_models(
            self.pair,
            self.settings.engine,
            self.settings.draft,
            models_directory(self.settings),
            self.report,
            offline=self.settings.models.offline,
        )
        names: tuple[DraftPreset, ...] = ("none",)
        capture_steps(models, names, self.settings.draft, self.report)
        return models

    def folders(self) -> dict[str, Path]:
        """Give the model folders by role, in plain Hugging Face layout."""
        from umbrella_engine.sources import fetch_model

        directory, offline = models_directory(self.settings), self.settings.models.offline
        sources = {"target": self.pair.target, "draft": self.pair.draft}
        return {
            role: fetch_model(source, directory, self.report, offline=offline)
            for role, source in sources.items()
            if source is not None
        }

    def fills_in(self) -> bool:
        """Whether the target's vocabulary can fill in the middle."""
        from umbrella_engine.tokenizer import load_tokenizer

        return load_tokenizer(self.folders()["target"]).fim is not None

    def files(self) -> tuple[File, ...]:
        """Describe the weights."""
        return weights(self.pair, self.folders(), self.report)


def subject_of(engine: Engine) -> Subject:
    """Say what was measured."""
    info = engine.info
    return Subject(info.pair, info.target, info.draft, info.device, info.dtype)
