"""One answer as it grows: its text, whether enough is said, whether the model is still sure.

Promises: token by token, so that it ends in the same place however many come at once. Knows
neither engine nor job.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from umbrella_daemon.resident.confidence import Confidence, whole_lines
from umbrella_daemon.resident.stopping import Stopping
from umbrella_daemon.resident.written import Written
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import Step, Tokenizer
from umbrella_engine.tokenizer import TextStream


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an answer is kept to."""

    max_tokens: int
    max_lines: int
    max_seconds: float = math.inf  # from its first token on
    min_confidence: float = 0.0  # smallest probability that is shown; 0 shows all


class Growth:
    """Follows the answer to `request` that starts with the tokens `beginning`."""

    def __init__(
        self,
        request: Complete,
        tokenizer: Tokenizer,
        owed: bytes,
        bounds: Bounds,
        beginning: Sequence[int] = (),
    ) -> None:
        self._stream = TextStream(tokenizer, owed)
        self._stopping = Stopping(request, bounds.max_lines)
        self._confidence = Confidence(bounds.min_confidence)
        self._tokens = list(beginning)
        self._begun = len(self._stream.push(beginning))
        self._max_seconds = bounds.max_seconds
        self._deadline: float | None = None

    def push(self, step: Step) -> Written | None:
        """Take the next tokens; give the answer when they end it."""
        if self._deadline is None:
            self._deadline = time.perf_counter() + self._max_seconds
        logprobs = step.logprobs or (0.0,) * len(step.tokens)
        for place, (token, logprob) in enumerate(zip(step.tokens, logprobs, strict=True)):
            before = self._stream.text
            self._tokens.append(token)
            text = self._stream.push((token,))
            if text and not self._confidence.holds(logprob):  # owed text is no guess
                return self._without_doubt(before)
            if (stopped := self._stopping.update(text)) is not None:
                rest = step.tokens[place + 1 :]
                self._tokens += rest
                self._stream.push(rest)
                return self._written(stopped)
        return None

    @property
    def is_late(self) -> bool:
        """Whether the time for it is up."""
        return self._deadline is not None and time.perf_counter() >= self._deadline

    def end(self, *, ended: bool) -> Written:
        """Give the answer when no more tokens come; `ended` says that the engine ended it."""
        text = self._stopping.finish(self._stream.text, cut=not ended)
        return self._written(text, ended=ended)

    @property
    def text(self) -> str:
        """All that is written so far."""
        return self._stream.text

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return len(self._tokens)

    def _written(self, text: str, *, ended: bool = False) -> Written:
        return Written(
            text,
            self._tokens,
            self._stream.text,
            self._begun,
            ended,
            self._confidence.probability,
        )

    def _without_doubt(self, before: str) -> Written:
        """Give what was sure before the last token."""
        kept = whole_lines(before)
        text = self._stopping.finish(kept)
        probability = self._confidence.probability
        return Written(text, self._tokens, kept, 0, False, probability, doubted=not text)
