"""Where an answer ends and whether it is sure enough, decided piece by piece.

The same decisions serve an answer that grows and one that was written earlier, for another state,
and is read again. Promises: both come to the same. Knows neither engine nor tokens.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from umbrella_daemon.resident.confidence import Confidence, whole_lines
from umbrella_daemon.resident.postprocess import Shown, Silence, postprocess
from umbrella_daemon.resident.stopping import Stopping
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Complete, Reason

Piece = tuple[str, float]  # text and the logarithm of its probability

_DOUBT: Final = (
    "The model gave its answer a probability of {:.2g}, below completion.min_confidence; asking by "
    "a key shows it."
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an answer is kept to."""

    max_tokens: int
    max_lines: int
    max_seconds: float = math.inf  # from its first token on
    min_confidence: float = 0.0  # smallest probability that is shown; 0 shows all


def bounds_of(request: Complete, settings: CompletionSettings) -> Bounds:
    """Give the bounds of the answer to `request`; what it does not say is in the settings."""
    return Bounds(
        max_tokens=max(1, request.max_tokens or settings.max_tokens),
        max_lines=max(1, request.max_lines or settings.max_lines),
        max_seconds=(settings.max_ms or math.inf) / 1e3,
        min_confidence=_min_confidence(request, settings),
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """An answer as it ended."""

    text: str
    probability: float  # of all of it, or up to where it was no longer sure enough
    doubted: bool = False  # nothing of it is sure enough


class Judge:
    """Follows one answer to `request`."""

    def __init__(self, request: Complete, bounds: Bounds) -> None:
        self._stopping = Stopping(request, bounds.max_lines)
        self._confidence = Confidence(bounds.min_confidence)

    @property
    def probability(self) -> float:
        """Of all so far."""
        return self._confidence.probability

    def take(self, before: str, text: str, logprob: float) -> Ending | None:
        """Take the next token, which makes `text` of `before`; give the answer if it has ended."""
        if not self._confidence.holds(logprob):
            kept = self._stopping.finish(whole_lines(before))
            return Ending(kept, self.probability, doubted=not kept)
        stopped = self._stopping.update(text)
        return None if stopped is None else Ending(stopped, self.probability)

    def finish(self, text: str, *, ended: bool) -> Ending:
        """Give the answer when no more comes; `ended` says that it ended by itself."""
        return Ending(self._stopping.finish(text, cut=not ended), self.probability)


def read_again(
    request: Complete, bounds: Bounds, pieces: Iterable[Piece], *, typed: int, ended: bool
) -> Ending | None:
    """Give the answer that is left once the first `typed` characters of `pieces` stand there.

    None where it goes on beyond what was written; `ended` says that nothing does. None, too, where
    it depends on the probability of a token whose beginning stands there: that of its rest is not
    known, only that it lies between the whole token's and 1.
    """
    left = list(pieces)
    while left and len(left[0][0]) <= typed:
        typed -= len(left.pop(0)[0])
    if not typed or not left:
        return _read(Judge(request, bounds), left, ended=ended)
    text, logprob = left[0][0][typed:], left[0][1]
    least, most = (
        _read(Judge(request, bounds), [(text, bound), *left[1:]], ended=ended)
        for bound in (logprob, 0.0)
    )
    if least is None or most is None or (least.text, least.doubted) != (most.text, most.doubted):
        return None
    return least


def _read(judge: Judge, pieces: Iterable[Piece], *, ended: bool) -> Ending | None:
    text = ""
    for piece, logprob in pieces:
        before, text = text, text + piece
        if ending := judge.take(before, text, logprob):
            return ending
    return judge.finish(text, ended=True) if ended else None


def conclude(request: Complete, ending: Ending) -> Shown | Silence:
    """Decide what an editor shows of an answer that has ended."""
    if ending.doubted:
        return Silence(Reason.LOW_CONFIDENCE, _DOUBT.format(ending.probability))
    return postprocess(request, ending.text)


def _min_confidence(request: Complete, settings: CompletionSettings) -> float:
    """Give the smallest probability that is shown: who asks by a key wants to see the best."""
    if request.explicit:
        return 0.0
    wanted = request.min_confidence
    return settings.min_confidence if wanted is None else min(1.0, max(0.0, wanted))
