"""Every knob of the daemon, once: defaults here, comments and units in `configs/default.toml`.

Values come from, later wins: the defaults, the user's TOML file, environment variables
(`UMBRELLA_DAEMON__IDLE_MINUTES=5`: section and key joined by two underscores), command-line flags
or the editor's settings. An unknown key or a bad value raises `SettingsError` naming the key, the
value, where it stands and what is accepted.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from umbrella_daemon.layers import SettingsError, keys, lay, nested
from umbrella_engine.config import DraftConfig, EngineConfig

__all__ = [
    "LOCAL",
    "ApiSettings",
    "BackendSettings",
    "ChatSettings",
    "CompletionSettings",
    "DaemonSettings",
    "ModelSettings",
    "PromptSettings",
    "RecordingSettings",
    "Settings",
    "SettingsError",
    "SuggestionSettings",
    "WebSettings",
    "load_settings",
]


Pair = Annotated[
    str,
    Meta(min_length=1, description='"auto", a name from `umbrella models` or a path'),
]


class PromptSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `prompt`: how much of the file the model reads."""

    prefix_tokens: Annotated[int, Meta(ge=16)] = 1024
    suffix_tokens: Annotated[int, Meta(ge=0)] = 256
    context_tokens: Annotated[int, Meta(ge=0)] = 512
    layout: Literal["auto", "plain", "psm", "anchored", "spm", "spm-anchored", "sp"] = "auto"
    healing: Literal["identifier", "token", "none"] = "identifier"


class CompletionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `completion`: what is offered (takes effect at once, per editor window)."""

    enabled: bool = True
    max_tokens: Annotated[int, Meta(ge=1, le=2048)] = 64
    max_lines: Annotated[int, Meta(ge=1, le=200)] = 8
    # from the first token on; 0: no limit
    max_ms: Annotated[int, Meta(ge=0, le=600000)] = 4000
    # smallest probability of what is shown unasked; 0: everything is
    min_confidence: Annotated[float, Meta(ge=0, le=1)] = 0.02
    adapt_confidence: bool = True
    candidates: Annotated[int, Meta(ge=1, le=10)] = 3
    menu: bool = False
    disabled_languages: tuple[str, ...] = ()
    disabled_globs: tuple[str, ...] = ()
    gitignore: bool = True
    context: bool = True
    context_off: tuple[str, ...] = ()
    max_file_mb: Annotated[float, Meta(ge=0.001, le=1000)] = 5.0


class SuggestionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `suggestions`: what is kept and prepared of them between keystrokes."""

    max_entries: Annotated[int, Meta(ge=0, le=100000)] = 512
    max_kb: Annotated[int, Meta(ge=0, le=1000000)] = 4096
    prefetch: bool = True
    warm_up: bool = True
    workspace: bool = False


class ChatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `chat`: how conversations are answered, in a terminal and in a browser."""

    system: str = ""  # "": the model's own
    temperature: Annotated[float, Meta(ge=0, le=100)] = 0.0
    top_k: Annotated[int, Meta(ge=0)] = 0
    top_p: Annotated[float, Meta(ge=0.01, le=1)] = 1.0
    min_p: Annotated[float, Meta(ge=0, le=1)] = 0.0
    seed: Annotated[int, Meta(ge=-1)] = -1  # -1: another one every time
    max_tokens: Annotated[int, Meta(ge=0)] = 1024  # 0: as many as fit
    history: bool = True


class RecordingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `recording`: traces of typing for `umbrella bench keystrokes`, per editor window."""

    typing: Literal["off", "masked", "plain"] = "off"
    max_mb: Annotated[float, Meta(ge=0.001, le=1000)] = 16.0


class DaemonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `daemon`: the resident process."""

    socket: str = ""  # "": in the user's runtime directory
    # without any client, then it exits; 0: never
    idle_minutes: Annotated[float, Meta(ge=0, le=525600)] = 60.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    traces: Annotated[int, Meta(ge=0, le=100000)] = 200


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `models`: where weights are kept and how they are fetched."""

    directory: str = ""  # "": in the user's cache directory
    offline: bool = False
    # what `pair = "auto"` may fetch without being asked
    auto_download_mb: Annotated[int, Meta(ge=0)] = 1000


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `api`: the HTTP server of `umbrella api`, on loopback."""

    port: Annotated[int, Meta(ge=0, le=65535)] = 8012  # 0: any that is free
    token: bool = True  # false: every program of this machine may ask
    max_body_mb: Annotated[float, Meta(ge=0.001, le=16)] = 8.0
    # that a client may leave a stream unread, then its generation ends
    stall_seconds: Annotated[float, Meta(ge=0.1, le=86400)] = 60.0
    temperature: Annotated[float, Meta(ge=0, le=100)] = 0.0  # of requests that name none


class BackendSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `backend`: an engine elsewhere instead of the resident pair."""

    kind: Literal["local", "llama-server", "openai"] = "local"
    url: str = ""  # "": where such a server usually listens on this machine
    model: str = ""  # "": the first that the server names
    api_key_env: str = ""  # name of the environment variable that holds the key
    allow_remote: bool = False
    fim: Literal[
        "auto",
        "none",
        "suffix",
        "qwen",
        "starcoder",
        "deepseek",
        "codellama",
        "codegeex",
        "seed-coder",
        "codestral",
    ] = "auto"
    connect_ms: Annotated[int, Meta(ge=1, le=600000)] = 2000
    timeout_ms: Annotated[int, Meta(ge=1, le=3600000)] = 30000  # without a word of the server
    retries: Annotated[int, Meta(ge=0, le=10)] = 2


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Section `web`: the page of `umbrella web`, on loopback."""

    port: Annotated[int, Meta(ge=0, le=65535)] = 8013  # 0: any that is free


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    pair: Pair = "auto"
    backend: BackendSettings = BackendSettings()
    engine: EngineConfig = EngineConfig()
    draft: DraftConfig = DraftConfig()
    prompt: PromptSettings = PromptSettings()
    completion: CompletionSettings = CompletionSettings()
    suggestions: SuggestionSettings = SuggestionSettings()
    chat: ChatSettings = ChatSettings()
    recording: RecordingSettings = RecordingSettings()
    daemon: DaemonSettings = DaemonSettings()
    models: ModelSettings = ModelSettings()
    api: ApiSettings = ApiSettings()
    web: WebSettings = WebSettings()


LOCAL: Final = "local"  # the backend that is none
PREFIX: Final = "UMBRELLA_"
# variables of ours that are no settings
OTHER_VARIABLES: Final = frozenset({"UMBRELLA_SCRIPT", "UMBRELLA_PAIR_DIR"})

Layer = tuple[Mapping[str, object], str]  # values and where they stand


def load_settings(
    overrides: Mapping[str, object] | None = None,
    *,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    place: str = "editor settings",
) -> Settings:
    """Give the settings in force.

    `overrides` is nested as the TOML file is and comes from `place`. Without `path` the user's
    file is read where there is one; a `path` given must exist. `environ` is the process's own
    unless given. Raises SettingsError.
    """
    settings = Settings()
    environ = os.environ if environ is None else environ
    for values, where in [_read(path), *_from_environment(environ), (overrides or {}, place)]:
        settings = lay(settings, values, where)
    return settings


def _read(path: Path | None) -> Layer:
    if path is None:
        from umbrella_daemon.paths import config_path  # paths are computed from settings

        path = config_path()
        if not path.exists():
            return {}, str(path)
    try:
        return tomllib.loads(path.read_text("utf-8")), str(path)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}.") from None


def _from_environment(environ: Mapping[str, str]) -> Iterator[Layer]:
    known = {_variable(key): key for key in keys(Settings())}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES:
            continue
        place = f"environment variable {name}"
        if name in known:
            yield nested(known[name], environ[name]), place
        elif close := difflib.get_close_matches(name, known, n=1, cutoff=0.85):
            raise SettingsError(f"{place}: there is no such setting; did you mean {close[0]}?")
        elif "__" in name:
            raise SettingsError(f"{place}: there is no such setting; configs/default.toml has all.")


def _variable(key: str) -> str:
    return PREFIX + key.replace(".", "__").upper()
