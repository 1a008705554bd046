"""From settings to a resident engine, or to one elsewhere, and what is told on the way.

Runs in the engine thread. Imports torch only when a real pair is loaded, so that the socket is
open long before, and not at all for a backend.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from umbrella_daemon.pairs import list_pairs
from umbrella_daemon.paths import models_directory, tunings_directory
from umbrella_daemon.settings import LOCAL, Settings
from umbrella_daemon.tuned import summary, tuning_of
from umbrella_daemon.wire import Phase
from umbrella_engine.config import PairConfig
from umbrella_engine.errors import DoesNotFit, EngineError
from umbrella_engine.interface import Engine, Progress, Report
from umbrella_engine.script import Script, read_script

SCRIPTED: Final = "scripted"  # the pair that needs no weights
SCRIPT_VARIABLE: Final = "UMBRELLA_SCRIPT"
PUSH_SECONDS: Final = 0.1  # between two phases of the same kind


@dataclass(frozen=True, slots=True)
class Loaded:
    """An engine and which pair it is, with the reason why."""

    engine: Engine
    pair: str


def load_engine(settings: Settings, report: Report) -> Loaded:
    """Load the pair that `settings` name, or reach the backend.

    Raises EngineError (BackendDown where asking again may help), SettingsError or OSError.
    """
    if settings.backend.kind != LOCAL:
        from umbrella_daemon.backends.connecting import connect

        connected = connect(settings.backend, settings.engine.context_tokens)
        return Loaded(connected.engine, connected.told)
    if settings.pair == SCRIPTED:
        path = os.environ.get(SCRIPT_VARIABLE)
        script = read_script(Path(path)) if path else Script()
        return Loaded(script.load(report), f"{SCRIPTED}: canned answers, no model")
    from umbrella_daemon.resident.pick import pick_pair, what_fits

    pair, why = pick_pair(settings)
    report(Progress("loading", f"{pair.name}: {why}"))
    from umbrella_engine.load import load

    try:
        engine = load(
            pair,
            settings.engine,
            settings.draft,
            models_directory(settings),
            report,
            offline=settings.models.offline,
            tunings=tunings_directory(),
        )
    except DoesNotFit as error:
        smaller = what_fits(list_pairs(), error.free, settings.engine)
        raise EngineError(f"{error}. {smaller}") from error
    return Loaded(engine, f"{pair.name}: {why}{_tuned(pair, settings)}")


def _tuned(pair: PairConfig, settings: Settings) -> str:
    """Say what tuning is in force; one that cannot be read was told of while loading."""
    try:
        tuning = tuning_of(pair, settings)
    except EngineError:
        return ""
    in_force = tuning is not None and settings.draft.enabled and settings.draft.preset == "auto"
    return f"; {summary(tuning)}" if tuning is not None and in_force else ""


class PhaseReport:
    """Turns an engine's progress into phases for clients, at most ten a second of a kind."""

    def __init__(self, push: Callable[[Phase], None]) -> None:
        self._push = push
        self._last = Phase("")
        self._pushed_at = 0.0

    def __call__(self, progress: Progress) -> None:
        """Push `progress` unless it says nothing new or comes too soon."""
        percent = min(100, progress.done * 100 // progress.total) if progress.total > 0 else None
        phase = Phase(progress.phase, progress.message, percent)
        now = time.monotonic()
        if phase.phase == self._last.phase and (
            phase == self._last or now < self._pushed_at + PUSH_SECONDS
        ):
            return
        self._last, self._pushed_at = phase, now
        self._push(phase)
