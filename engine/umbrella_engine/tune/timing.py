"""Milliseconds of a forward pass against its rows, on this machine and now.

Whole passes as a step makes them, from plain lists to chosen tokens on the host, so that what the
host adds is in them and nothing is left running on a device. Rows take turns, so that a busy moment
meets all of them; the median decides.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

from umbrella_engine.cuda.tiles import PRESETS
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.shape.costs import Curve
from umbrella_engine.tree import chain

ROWS = (1, 2, 4, 8, 16, 17, 32, 33, 64)  # on both sides of what kernels are cut for
FEWEST_ROUNDS = 3
MOST_ROUNDS = 15
BRANCHES = 8  # looked at in each row
REPLAYS = 25


def measure(
    model: LanguageModel, prompt: Sequence[int], seconds: float, advanced: Callable[[float], None]
) -> Curve:
    """Time passes of 1 to 64 rows behind `prompt` for about so many seconds.

    `advanced` is told how far it is, 0 … 1.
    """
    times: dict[int, list[float]] = {rows: [] for rows in ROWS}
    with model.open(prompt) as context:
        unread = context.prefill(prompt[context.length :], lambda: None)
        context.evaluate(unread, chain([]))
        tokens = list(prompt[-ROWS[-1] :]) * ROWS[-1]
        began = time.perf_counter()
        for turn in range(MOST_ROUNDS + 1):
            for rows in ROWS:
                start = time.perf_counter()
                logits = context.evaluate(tokens[:1], chain(tokens[1:rows]))
                logits.float().softmax(dim=-1).topk(BRANCHES, dim=-1)[1].tolist()
                if turn:  # the first round warms up
                    times[rows].append((time.perf_counter() - start) * 1e3)
            spent = time.perf_counter() - began
            advanced(min(1.0, max(spent / seconds, turn / MOST_ROUNDS)))
            if turn >= FEWEST_ROUNDS and spent > seconds:
                break
    return Curve(ROWS, tuple(median(times[rows]) for rows in ROWS))


def measure_on_device(model: LanguageModel, prompt: Sequence[int]) -> Curve | None:
    """Time what a GPU itself does in such passes, by its own clock; None where nothing is captured.

    Its graphs are for some numbers of rows; others take the time of the next one above.
    """
    decoder = model.decoder
    if decoder.cache.keys.device.type != "cuda":
        return None
    from umbrella_engine.cuda.decoder import FusedDecoder

    if not isinstance(decoder, FusedDecoder):
        return None
    tokens = list(prompt[-PRESETS[-1] :])
    ms = []
    with model.open(prompt) as context:
        context.read(prompt[context.length :], lambda: None)
        for rows in PRESETS:
            context.evaluate(tokens[:1], chain(tokens[1:rows]))  # leaves such inputs behind
            ms.append(median(decoder.graph(rows).times(REPLAYS)))
    return Curve(PRESETS, tuple(ms))
