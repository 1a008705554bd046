"""Every knob of the daemon, once: defaults here, comments and units in `configs/default.toml`.

Values come from, later wins: the defaults, the user's TOML file, environment variables
(`UMBRELLA_DAEMON__IDLE_MINUTES=5`: section and key joined by two underscores), command-line flags
or the editor's settings. An unknown key or a bad value raises `SettingsError` naming the key, the
value, where it stands and what is accepted.
"""

import msgspec
from umbrella_engine.config import DraftConfig, EngineConfig


class PromptSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `prompt`: how much of the file the model reads."""

    prefix_tokens: int = 1024
    suffix_tokens: int = 256


class CompletionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `completion`: what is offered (takes effect at once, per editor window)."""

    enabled: bool = True
    max_tokens: int = 64
    max_lines: int = 8
    disabled_languages: tuple[str, ...] = ()
    max_file_mb: float = 5.0


class DaemonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `daemon`: the resident process."""

    socket: str = ""  # "": in the user's runtime directory
    idle_minutes: float = 60.0  # without any client, then it exits; 0: never
    log_level: str = "info"
    traces: int = 200


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `models`: where weights are kept and how they are fetched."""

    directory: str = ""  # "": in the user's cache directory
    offline: bool = False
    auto_download_mb: int = 1000  # what `pair = "auto"` may fetch without being asked


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    pair: str = "auto"  # "auto", a name from configs/, or the path of a pair TOML
    engine: EngineConfig = EngineConfig()
    draft: DraftConfig = DraftConfig()
    prompt: PromptSettings = PromptSettings()
    completion: CompletionSettings = CompletionSettings()
    daemon: DaemonSettings = DaemonSettings()
    models: ModelSettings = ModelSettings()


class SettingsError(Exception):
    """A setting that cannot be used; the message names key, value, place and accepted values."""
