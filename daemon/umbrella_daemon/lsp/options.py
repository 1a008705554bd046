"""The editor's settings → `Settings`: initialization options, configuration, what was switched.

Both hold the same keys as the settings file, either bare or under the section `umbrella`. What
cannot be used is reported once and leaves the settings as they were. Knows nothing of how the
editor is asked or told.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from umbrella_daemon.paths import config_path
from umbrella_daemon.settings import Settings, SettingsError, load_settings

SECTION: Final = "umbrella"
# keys of the section that are the editor extensions' own business
EDITOR_KEYS: Final = frozenset({"editor", "server", "trace"})
# a repository may bring settings for its editor along, and code must not leave by them
BACKEND: Final = "backend"
KEPT_OUT: Final = (
    "Umbrella: editor settings: backend is not taken from an editor, since a folder that you open "
    "may bring such settings along; it belongs into {}. The rest is in force."
)
# what the running daemon was started with; the rest goes with each request
DAEMON_KEYS: Final = ("pair", "engine", "draft", "prompt", "daemon", "models")


class Options:
    """The settings of one editor window; `complain` shows a sentence to its user."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self.settings = Settings()
        self.wants_copilot_status = False
        self._configured = self.settings  # without what was switched
        self._switched: dict[str, object] = {}  # keys of `completion`, for this window
        self._complain = complain
        self._complaint = ""
        self._initial: Mapping[str, object] = {}

    def initialize(self, raw: object) -> None:
        """Take `initializationOptions`, over what the user's file and the environment say."""
        self._load({})
        self.wants_copilot_status = _wants_copilot_status(raw)
        bare = isinstance(raw, Mapping) and SECTION not in raw
        self._initial = _bare(raw) if bare else section(raw)
        self._load({})

    def configure(self, raw: object) -> tuple[str, ...]:
        """Take configuration; give the keys that a running daemon does not take over."""
        before = self.settings
        self._load(_bare(raw))
        return tuple(
            key for key in DAEMON_KEYS if getattr(before, key) != getattr(self.settings, key)
        )

    def toggle(self, language: str) -> None:
        """Switch `language`, or everything where it is "", until its setting is changed."""
        completion = self.settings.completion
        if not language:
            self._switched["enabled"] = not completion.enabled
        elif language in completion.disabled_languages:
            kept = tuple(one for one in completion.disabled_languages if one != language)
            self._switched["disabled_languages"] = kept
        else:
            self._switched["disabled_languages"] = (*completion.disabled_languages, language)
        self._lay()

    def _lay(self) -> None:
        """Lay what was switched over what is configured."""
        completion = replace(self._configured.completion, **self._switched)
        self.settings = replace(self._configured, completion=completion)

    def _load(self, configuration: Mapping[str, object]) -> None:
        try:
            given = _merged(self._initial, configuration)
            backend = given.pop(BACKEND, None)
            configured = load_settings(given)
        except SettingsError as error:
            self._say(f"Umbrella: {error} The settings stay as they were.")
            return
        own = msgspec.to_builtins(configured.backend)
        wanted = backend.items() if isinstance(backend, Mapping) else ()
        kept_out = any(own.get(key) != value for key, value in wanted)
        self._say(KEPT_OUT.format(config_path()) if kept_out else "")
        before, now = self._configured.completion, configured.completion
        self._switched = {  # the newest wish counts
            key: value
            for key, value in self._switched.items()
            if getattr(before, key) == getattr(now, key)
        }
        self._configured = configured
        self._lay()

    def _say(self, complaint: str) -> None:
        """Complain, of the same thing once."""
        if complaint and complaint != self._complaint:
            self._complain(complaint)
        self._complaint = complaint


def section(raw: object) -> Mapping[str, object]:
    """Give what stands under `umbrella` in a client's settings."""
    return _bare(raw.get(SECTION)) if isinstance(raw, Mapping) else {}


def _wants_copilot_status(raw: object) -> bool:
    below = raw.get(SECTION, raw) if isinstance(raw, Mapping) else {}
    editor = below.get("editor") if isinstance(below, Mapping) else {}
    return isinstance(editor, Mapping) and editor.get("copilotStatus") is True


def _bare(raw: object) -> Mapping[str, object]:
    if not isinstance(raw, Mapping):
        return {}
    return {key: value for key, value in raw.items() if key not in EDITOR_KEYS}


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            merged[key] = _merged(old, value)
        elif value is not None:
            merged[key] = value
    return merged
