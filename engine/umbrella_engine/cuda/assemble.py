"""Models on the fused kernels, and the captured steps of a pair of them."""

from collections.abc import Callable, Collection
from functools import partial

import msgspec

from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.cuda.captured import Captured
from umbrella_engine.cuda.compiling import compile_ahead
from umbrella_engine.cuda.decoder import FusedDecoder
from umbrella_engine.cuda.shapes import PLAIN, shapes_of
from umbrella_engine.cuda.stepper import Stepper
from umbrella_engine.cuda.support import starts_early
from umbrella_engine.cuda.tiles import PRESETS
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.model import Decoder

TIMED_LENGTH = 1024  # tokens of context behind which steps are timed


def fuse(decoder: Decoder) -> FusedDecoder:
    """Put a decoder that nothing speaks against (`support.reason_against`) behind the kernels."""
    return FusedDecoder(decoder, early_start=starts_early(decoder.device))


def capture(
    target: LanguageModel,
    draft: LanguageModel | None,
    presets: Collection[DraftPreset],
    config: DraftConfig,
    done: Callable[[int, int], None],
    compiled: Callable[[int, int], None] = lambda _done, _total: None,
) -> Captured | None:
    """Capture and time the steps that presets need; None where one of the models is not fused.

    `done` is told how many graphs of how many are captured, `compiled` how many kernels compiled.
    """
    draft_decoder = draft.decoder if draft is not None else None
    if not isinstance(target.decoder, FusedDecoder):
        return None
    if not isinstance(draft_decoder, FusedDecoder | None):
        return None
    if draft is None:
        config = msgspec.structs.replace(config, model_depth=0)
    shapes = dict.fromkeys(shape for preset in presets for shape in shapes_of(preset, config))
    shapes = {PLAIN: None, **shapes}
    decoders = [each for each in (target.decoder, draft_decoder) if each is not None]
    passes = [(each, preset) for each in decoders for preset in PRESETS]
    compile_ahead([partial(each.launch, preset, logits=True) for each, preset in passes], compiled)
    stepper = Stepper(
        target.decoder,
        draft_decoder,
        shapes,
        lambda count, total: done(count, total + len(passes)),
        compiled=compiled,
        least_matched=config.suffix_min_match,
    )
    for count, (each, preset) in enumerate(passes, len(shapes) + 1):
        each.graph(preset)  # for the steps that the host takes
        done(count, len(shapes) + len(passes))
    length = min(TIMED_LENGTH, target.decoder.cache.capacity // 2)
    return Captured(stepper, draft, stepper.milliseconds(length), config)
