"""Models on the fused kernels, and the device loop of a pair of them."""

from collections.abc import Callable

import msgspec

from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.cuda.choice import choice_for
from umbrella_engine.cuda.decoder import FusedDecoder
from umbrella_engine.cuda.device_loop import DeviceLoop
from umbrella_engine.cuda.shapes import PLAIN, shapes_of
from umbrella_engine.cuda.stepper import Stepper
from umbrella_engine.cuda.support import starts_early
from umbrella_engine.draft.texts import Texts
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.model import Decoder
from umbrella_engine.shape.defaults import ACCEPTANCE

TIMED_LENGTH = 1024  # tokens of context behind which steps are timed


def fuse(decoder: Decoder) -> FusedDecoder:
    """Put a decoder that nothing speaks against (`support.reason_against`) behind the kernels."""
    return FusedDecoder(decoder, early_start=starts_early(decoder.device))


def device_loop(
    target: LanguageModel,
    draft: LanguageModel | None,
    preset: DraftPreset,
    config: DraftConfig,
    texts: Texts,
    done: Callable[[int, int], None],
    *,
    agreement: float = ACCEPTANCE[0],
) -> DeviceLoop | None:
    """Capture the steps of a pair; None where one of its models is not fused.

    `agreement`: how often the draft's favourite is right, as tuned.
    """
    draft_decoder = draft.decoder if draft is not None else None
    if not isinstance(target.decoder, FusedDecoder):
        return None
    if not isinstance(draft_decoder, FusedDecoder | None):
        return None
    if draft is None:
        config = msgspec.structs.replace(config, model_depth=0)
    shapes = shapes_of(preset, config)
    least = config.suffix_min_match
    stepper = Stepper(target.decoder, draft_decoder, {PLAIN, *shapes}, done, least_matched=least)
    length = min(TIMED_LENGTH, target.decoder.cache.capacity // 2)
    choice = choice_for(preset, stepper.milliseconds(length), shapes, agreement)
    return DeviceLoop(stepper, draft, choice, texts)
