"""What `umbrella tune` found out about a pair, for those who tell people.

Knows where tunings lie and which one is in force; the engine measures and applies them.
"""

from typing import TYPE_CHECKING

from umbrella_daemon.paths import tunings_directory
from umbrella_daemon.settings import Settings
from umbrella_engine.config import PairConfig

if TYPE_CHECKING:
    from umbrella_engine.shape.tuning import Tuning


def tuning_of(pair: PairConfig, settings: Settings) -> "Tuning | None":
    """Give the tuning of `pair` on this machine, None where there is none.

    Raises EngineError where it cannot be read.
    """
    from umbrella_engine.load import subject_of
    from umbrella_engine.shape.tuning import read

    return read(subject_of(pair, settings.engine), tunings_directory())


def summary(tuning: "Tuning") -> str:
    """Say when it was measured and what was chosen."""
    return f"tuned {tuning.date[:10]}: {tuning.chosen.preset}"
