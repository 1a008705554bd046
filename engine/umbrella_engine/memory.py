"""Whether a pair fits into a GPU's memory, known before anything is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from umbrella_engine.errors import EngineError

GB = 10**9
WORKING_BYTES = 700 * 10**6  # the CUDA context, buffers of a step, captured graphs


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of one model."""

    role: str  # "target" or "draft"
    weights: int
    cache: int


def check_fits(needs: Sequence[Need], free: int, device: str) -> None:
    """Raise EngineError with the numbers where the models do not fit, and say what would."""
    needed = WORKING_BYTES + sum(need.weights + need.cache for need in needs)
    if needed <= free:
        return
    parts = ", ".join(f"{need.role} {need.weights / GB:.1f} GB" for need in needs)
    cache = sum(need.cache for need in needs)
    ways = ["choose a smaller pair (umbrella models lists them)"]
    without = needed - sum(need.weights + need.cache for need in needs if need.role == "draft")
    if without < needed and without <= free:
        ways.insert(0, f"set draft.model_depth = 0 to go without the draft ({without / GB:.1f} GB)")
    if needed - cache // 2 <= free:
        ways.insert(0, f"lower engine.kv_cache_mb or engine.context_tokens ({cache / GB:.1f} GB)")
    ways.append('or set engine.device = "cpu"')
    raise EngineError(
        f"the pair needs {needed / GB:.1f} GB ({parts}, caches {cache / GB:.1f} GB) and {device} "
        f"has {free / GB:.1f} GB free; nothing was loaded: {', '.join(ways)}"
    )
