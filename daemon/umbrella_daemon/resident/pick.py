"""Which pair is loaded, and why: what the settings name, or what suits this machine.

Nothing large is fetched because of a guess: of pairs that fit, the best one is taken whose weights
are here or small enough to fetch unasked, and a better one is named with the command to get it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from umbrella_daemon.pairs import list_pairs, load_pair
from umbrella_daemon.paths import models_directory
from umbrella_daemon.settings import Settings
from umbrella_engine.config import EngineConfig, PairConfig
from umbrella_engine.sources import is_fetched

AUTO: Final = "auto"
EMBEDDED: Final = "smollm2"  # runs everywhere, and is the only one meant for a CPU
MB: Final = 10**6


@dataclass(frozen=True, slots=True)
class Machine:
    """What a model would run on."""

    name: str  # for people: "a CPU", "cuda:0 (NVIDIA H100)"
    gpu: bool
    free_mb: int


def pick_pair(settings: Settings) -> tuple[PairConfig, str]:
    """Give the pair to load and the reason, one sentence without the pair's name.

    Raises SettingsError where the pair is not known, EngineError where the device is not there.
    """
    if settings.pair != AUTO:
        return load_pair(settings.pair), "set in the settings"
    pairs = list_pairs()
    directory = models_directory(settings)
    missing = {pair.name: missing_mb(pair, directory) for pair in pairs}
    allowed = 0 if settings.models.offline else settings.models.auto_download_mb
    return choose(pairs, find_machine(settings.engine), missing, allowed, settings.engine)


def choose(
    pairs: Sequence[PairConfig],
    machine: Machine,
    missing: Mapping[str, int],
    allowed_mb: int,
    engine: EngineConfig,
) -> tuple[PairConfig, str]:
    """Take the best pair that fits and whose `missing` MB may be fetched; say why."""
    reason = f"picked for {machine.name} with {machine.free_mb / 1000:.0f} GB free"
    embedded = next(pair for pair in pairs if pair.name == EMBEDDED)
    if not machine.gpu:
        return embedded, reason
    fitting = [pair for pair in pairs if needs_mb(pair, engine) <= machine.free_mb]
    at_hand = [pair for pair in fitting if missing[pair.name] <= allowed_mb]
    chosen = max(at_hand, key=lambda pair: pair.needs_mb, default=embedded)
    best = max(fitting, key=lambda pair: pair.needs_mb, default=chosen)
    if best.needs_mb > chosen.needs_mb:
        size = f"{missing[best.name] / 1000:.1f} GB"
        reason += f"; {best.name} fits too and is better: umbrella models get {best.name} ({size})"
    return chosen, reason


def what_fits(pairs: Sequence[PairConfig], free: int, engine: EngineConfig) -> str:
    """Say which of the known pairs fits into `free` bytes, in one sentence."""
    fitting = [pair for pair in pairs if needs_mb(pair, engine) * MB <= free]
    best = max(fitting, key=lambda pair: pair.needs_mb, default=None)
    if best is None:
        return "No known pair fits; close what else takes memory there"
    return f'{best.name} fits ({best.needs_mb / 1000:.1f} GB): set pair = "{best.name}"'


def needs_mb(pair: PairConfig, engine: EngineConfig) -> float:
    """Memory of a pair with the cache of these settings; `pair.needs_mb` counts the default one."""
    more_cache_mib = engine.kv_cache_mb - EngineConfig().kv_cache_mb
    return pair.needs_mb + more_cache_mib * 2**20 / MB


def missing_mb(pair: PairConfig, directory: Path) -> int:
    """Size of the weights of a pair that are still to be fetched."""
    sources = [pair.target] if pair.draft is None else [pair.target, pair.draft]
    return sum(source.download_mb for source in sources if not is_fetched(source, directory))


def find_machine(engine: EngineConfig) -> Machine:
    """Look at the device of the settings. Raises EngineError where there is none such."""
    import psutil
    import torch

    from umbrella_engine.hardware import choose_device

    device = choose_device(engine.device)
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        return Machine(f"{device} ({torch.cuda.get_device_name(device)})", True, free // MB)
    return Machine("a CPU", False, psutil.virtual_memory().available // MB)
