"""Where a model runs and in which precision."""

import psutil
import torch

from umbrella_engine.config import EngineConfig
from umbrella_engine.errors import EngineError


def choose_device(name: str) -> torch.device:
    """Give the device `name`; "auto" is the first CUDA device, else the CPU.

    Raises EngineError where the device does not exist.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise EngineError(
            f'engine.device = {name!r} cannot be used here ({reason}); set it to "auto" or "cpu"'
        ) from error
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Give the dtype `name`; "auto" is bfloat16 where the hardware multiplies it, else float32."""
    if name != "auto":
        dtype = getattr(torch, name, None)
        if not isinstance(dtype, torch.dtype):
            raise EngineError(f"engine.dtype = {name!r} is no torch dtype")
        return dtype
    return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 matrix products are native on the device."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and (
            torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        )
    return False


def apply_threads(config: EngineConfig) -> None:
    """Set torch's CPU threads where the settings name a number."""
    if config.threads:
        torch.set_num_threads(config.threads)


def free_bytes(device: torch.device) -> int:
    """Memory that models could take on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def device_name(device: torch.device) -> str:
    """Name a device for people."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)"
