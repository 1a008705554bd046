"""Whether a pair fits into memory, known before anything is loaded, and what would fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from umbrella_engine.errors import DoesNotFit

GB = 10**9
WORKING_BYTES = 700 * 10**6  # on a GPU: the CUDA context, buffers of a step, captured graphs


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of one model; a cache that takes memory only as it is used counts for nothing."""

    role: str  # "target" or "draft"
    weights: int
    cache: int


def check_fits(needs: Sequence[Need], free: int, device: str, *, gpu: bool) -> None:
    """Raise DoesNotFit with the numbers where the models do not fit, and say what would."""
    needed = sum(need.weights + need.cache for need in needs) + (WORKING_BYTES if gpu else 0)
    if needed <= free:
        return
    parts = [f"{need.role} {need.weights / GB:.1f} GB" for need in needs]
    cache = sum(need.cache for need in needs)
    if cache:
        parts.append(f"caches {cache / GB:.1f} GB")
    ways = ["choose a smaller pair (umbrella models lists them)"]
    without = needed - sum(need.weights + need.cache for need in needs if need.role == "draft")
    if without < needed and without <= free:
        ways.insert(0, f"set draft.model_depth = 0 to go without the draft ({without / GB:.1f} GB)")
    if needed - cache // 2 <= free:
        ways.insert(0, f"lower engine.kv_cache_mb or engine.context_tokens ({cache / GB:.1f} GB)")
    weights = sum(need.weights for need in needs)
    ways.append(
        f"run it quantised to 4 bits (about {weights * 0.3 / GB:.1f} GB) in llama.cpp's server "
        'and set backend.kind = "llama-server"'
    )
    if gpu:
        ways.append('or set engine.device = "cpu"')
    raise DoesNotFit(
        f"the pair needs {needed / GB:.1f} GB ({', '.join(parts)}) and {device} "
        f"has {free / GB:.1f} GB free; nothing was loaded: {', '.join(ways)}",
        free,
    )
