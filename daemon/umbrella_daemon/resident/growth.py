"""One answer as it grows: its text, whether enough is said, whether the model is still sure.

Promises: token by token, so that it ends in the same place however many come at once. Knows
neither engine nor job.
"""

import time
from collections.abc import Sequence

from umbrella_daemon.resident.judge import Bounds, Ending, Judge, Piece
from umbrella_daemon.resident.written import Written
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import Step, Tokenizer
from umbrella_engine.tokenizer import TextStream


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
        self._judge = Judge(request, bounds)
        self._token_bytes = tokenizer.token_bytes
        self._owed = len(owed) - sum(len(tokenizer.token_bytes(token)) for token in beginning)
        self._tokens = list(beginning)
        begun = self._stream.push(beginning)
        self._begun = len(begun)
        self._pieces: list[Piece] = [(begun, 0.0)]
        self._unspelled = 0.0  # logprob of tokens whose text waits for the rest of a character
        self._max_seconds = bounds.max_seconds
        self._deadline: float | None = None

    def push(self, step: Step) -> Written | None:
        """Take the next tokens; give the answer when they end it."""
        if self._deadline is None:
            self._deadline = time.perf_counter() + self._max_seconds
        logprobs = step.logprobs or (0.0,) * len(step.tokens)
        tokens = iter(zip(step.tokens, logprobs, strict=True))
        for token, logprob in tokens:
            before = self._stream.text
            guess = self._push(token, logprob)
            if ending := self._judge.take(before, self._stream.text, guess):
                for later in tokens:
                    self._push(*later)
                return self._written(ending)
        return None

    @property
    def is_late(self) -> bool:
        """Whether the time for it is up."""
        return self._deadline is not None and time.perf_counter() >= self._deadline

    def end(self, *, ended: bool) -> Written:
        """Give the answer when no more tokens come; `ended` says that the engine ended it."""
        return self._written(self._judge.finish(self._stream.text, ended=ended), ended=ended)

    @property
    def text(self) -> str:
        """All that is written so far."""
        return self._stream.text

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return len(self._tokens)

    def _push(self, token: int, logprob: float) -> float:
        """Take one token; give how likely it was, as far as it is a guess: owed text is none."""
        before = len(self._stream.text)
        self._tokens.append(token)
        piece = self._stream.push((token,))[before:]
        length = len(self._token_bytes(token))
        self._owed -= length
        guess = logprob if self._owed < 0 or not length else 0.0
        self._unspelled += guess
        if piece:
            self._pieces.append((piece, self._unspelled))
            self._unspelled = 0.0
        return guess

    def _written(self, ending: Ending, *, ended: bool = False) -> Written:
        return Written(
            ending.text,
            self._tokens,
            self._stream.text,
            self._begun,
            ended,
            ending.probability,
            ending.doubted,
            pieces=tuple(self._pieces),
        )
