"""What every command is told by the options before its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from umbrella_daemon.settings import Settings


@dataclass(frozen=True)
class Invocation:
    """The global options of one call."""

    config: Path | None = None
    assignments: Mapping[str, str] = field(default_factory=dict)

    def settings(self, more: Mapping[str, str] | None = None) -> "Settings":
        """Give the settings in force; `more` comes from a command's own options.

        Raises SettingsError.
        """
        from umbrella_daemon.layers import nested
        from umbrella_daemon.settings import load_settings

        values: dict[str, object] = {}
        for key, value in {**self.assignments, **(more or {})}.items():
            _join(values, nested(key, value))
        return load_settings(values, path=self.config, place="command line")


def _join(values: dict[str, object], more: dict[str, object]) -> None:
    for key, value in more.items():
        known = values.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            _join(known, value)
        else:
            values[key] = value
