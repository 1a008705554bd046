"""Whether the fused kernels run on a device and take a model. Imports no Triton: anyone may ask."""

from importlib.metadata import PackageNotFoundError, version

import torch

from umbrella_engine.cuda.tiles import obstacle
from umbrella_engine.model import Decoder

OLDEST_TRITON = (3, 4)  # the first with programmatic dependent launch as it is used here
AMPERE, HOPPER = (8, 0), (9, 0)


def reason_against_device(device: torch.device) -> str:
    """Say why no model runs on fused kernels on this device; "" if they can."""
    if device.type != "cuda":
        return f"it is {device.type}, not a CUDA device"
    if torch.cuda.get_device_capability(device) < AMPERE:
        return "the GPU is older than Ampere"
    try:
        installed = version("triton")
    except PackageNotFoundError:
        return "triton is not installed; torch's CUDA builds bring it"
    if _numbers(installed) < OLDEST_TRITON:
        return f"triton {installed} is too old, 3.4 is needed; a newer torch brings it"
    return ""


def reason_against(decoder: Decoder) -> str:
    """Say why a decoder is computed by plain torch; "" if the fused kernels take it."""
    return reason_against_device(decoder.device) or obstacle(decoder.config)


def starts_early(device: torch.device) -> bool:
    """Whether the device knows programmatic dependent launch."""
    return torch.cuda.get_device_capability(device) >= HOPPER


def shared_memory(device: torch.device) -> int:
    """Bytes that one program may keep next to a processor; on a CPU nothing limits them."""
    if device.type != "cuda":
        return 2**31
    properties = torch.cuda.get_device_properties(device)
    return int(getattr(properties, "shared_memory_per_block_optin", 48 * 1024))  # not in its stubs


def _numbers(text: str) -> tuple[int, int]:
    major, minor, *_ = text.split(".")
    return int(major), int(minor)
