"""Checks of the model: which pair, and whether its weights are here."""

from pathlib import Path
from typing import Final

from umbrella_daemon.doctor.finding import Finding, fail, ok, warn
from umbrella_daemon.paths import models_directory
from umbrella_daemon.resident.loading import SCRIPTED
from umbrella_daemon.resident.pick import pick_pair
from umbrella_daemon.settings import Settings, SettingsError
from umbrella_daemon.tuned import summary, tuning_of
from umbrella_engine.config import ModelSource, PairConfig
from umbrella_engine.errors import EngineError
from umbrella_engine.sources import is_fetched

LIST: Final = "`umbrella models` lists what there is; the setting is pair."


async def pair(settings: Settings) -> Finding:
    """Which pair is loaded, and why."""
    if settings.pair == SCRIPTED:
        return ok(SCRIPTED)
    try:
        found, why = pick_pair(settings)
    except (EngineError, SettingsError) as error:
        return fail(str(error), LIST)
    return ok(f"{found.name}: {why}")


async def weights(settings: Settings) -> Finding:
    """Whether the weights are on this machine."""
    if settings.pair == SCRIPTED:
        return ok("none needed")
    found, missing = _missing(settings)
    if not missing:
        directory = models_directory(settings)
        return ok(f"here; {directory} holds {_size_mb(directory):,} MB in all")
    size = sum(source.download_mb for source in missing)
    said = f"{size} MB are still to be fetched" if size else "still to be fetched"
    if settings.models.offline:
        return fail(
            f"{said}, and models.offline is set",
            f"Allow it once: umbrella -s models.offline=false models get {found.name}",
        )
    return warn(
        said, f"The first start fetches them; ahead of it: umbrella models get {found.name}"
    )


async def drafting(settings: Settings) -> Finding:
    """Whether how to draft was measured here, and what was chosen."""
    if settings.pair == SCRIPTED:
        return ok("none needed")
    try:
        tuning = tuning_of(pick_pair(settings)[0], settings)
    except EngineError as error:
        return warn(str(error), "Until then assumptions are used.")
    if tuning is None:
        return ok("by assumption; `umbrella tune` measures it")
    preset = settings.draft.preset
    return ok(summary(tuning) + ("" if preset == "auto" else f"; the settings want {preset}"))


def fetched(settings: Settings) -> bool:
    """Whether the daemon can load without fetching anything."""
    return settings.pair == SCRIPTED or not _missing(settings)[1]


def _missing(settings: Settings) -> tuple[PairConfig, list[ModelSource]]:
    """Give the pair that would be loaded, and the sources of it that are not here."""
    found, _ = pick_pair(settings)
    sources = [found.target] if found.draft is None else [found.target, found.draft]
    directory = models_directory(settings)
    return found, [source for source in sources if not is_fetched(source, directory)]


def _size_mb(directory: Path) -> int:
    files = (path for path in directory.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) // 10**6
