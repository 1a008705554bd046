"""Which models the fused kernels take, and the device loop of a pair that they took."""

from collections.abc import Callable
from importlib.util import find_spec

import torch

from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.cuda.decoder import FusedDecoder
from umbrella_engine.cuda.device_loop import DeviceLoop
from umbrella_engine.cuda.shapes import PLAIN, Choice, shapes_of
from umbrella_engine.cuda.stepper import Stepper
from umbrella_engine.cuda.tiles import obstacle
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.model import Decoder

TIMED_LENGTH = 1024  # tokens of context behind which steps are timed


def reason_against(decoder: Decoder) -> str:
    """Say why the fused kernels do not compute a decoder; "" if they do."""
    if decoder.device.type != "cuda":
        return f"it runs on {decoder.device}"
    if find_spec("triton") is None:
        return "triton is not installed; torch's CUDA builds bring it"
    if torch.cuda.get_device_capability(decoder.device) < (8, 0):
        return "the GPU is older than Ampere"
    if any(layer.gate_up_bias is not None for layer in decoder.weights.layers):
        return "its gated layers have biases"
    return obstacle(decoder.config)


def fuse(decoder: Decoder) -> FusedDecoder | Decoder:
    """Put a decoder behind the fused kernels, where they take it."""
    if reason_against(decoder):
        return decoder
    hopper = torch.cuda.get_device_capability(decoder.device) >= (9, 0)
    return FusedDecoder(decoder, early_start=hopper)


def device_loop(
    target: LanguageModel,
    draft: LanguageModel | None,
    preset: DraftPreset,
    config: DraftConfig,
    done: Callable[[int, int], None],
) -> DeviceLoop | None:
    """Capture the steps of a pair; None where one of its models is not fused."""
    draft_decoder = draft.decoder if draft is not None else None
    if not isinstance(target.decoder, FusedDecoder):
        return None
    if not isinstance(draft_decoder, FusedDecoder | None):
        return None
    shapes = shapes_of(preset, config) if draft_decoder is not None else (PLAIN,)
    stepper = Stepper(target.decoder, draft_decoder, {PLAIN, *shapes}, done)
    length = min(TIMED_LENGTH, target.decoder.cache.capacity // 2)
    return DeviceLoop(stepper, draft, Choice(stepper.milliseconds(length), shapes))
