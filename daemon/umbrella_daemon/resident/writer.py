"""Answers to one prompt, written token by token until the rules say that enough is said.

The first answer is the engine's own. Another begins with what the prompt is owed, spelled as in the
first, and a token that the model rates lower; from there on it is the engine's own again. Time
decides how many others there are, never what they say.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.prompt import Prompt
from umbrella_daemon.resident.stopping import Stopping
from umbrella_daemon.resident.written import Written
from umbrella_engine.errors import Cancelled
from umbrella_engine.interface import Engine, Limits
from umbrella_engine.stats import Stats
from umbrella_engine.tokenizer import TextStream

MARGIN_TOKENS: Final = 64  # kept free for what token healing makes the answer repeat
OTHERS_SECONDS: Final = 1.0  # that somebody who has the first answer waits for others


class Writer:
    """Writes what `engine` makes of `prompt`; everything it does ends when `job` is cancelled."""

    def __init__(
        self, engine: Engine, job: Job, prompt: Prompt, *, max_tokens: int, max_lines: int
    ) -> None:
        self._engine = engine
        self._job = job
        self._prompt = prompt
        self._max_lines = max_lines
        repeated = len(engine.tokenizer.encode(prompt.owed.decode(errors="ignore")))
        self._max_tokens = max_tokens + min(repeated, MARGIN_TOKENS)

    def write(self, stats: Stats) -> Written:
        """Give the engine's own answer; raises Cancelled."""
        return self._write((), self._job.cancelled, stats)

    def others(self, first: Written, attempts: int) -> Iterator[Written]:
        """Give answers that begin otherwise than `first`, best first; raises Cancelled."""
        deadline = time.perf_counter() + OTHERS_SECONDS

        def late() -> bool:
            return self._job.cancelled() or time.perf_counter() > deadline

        try:
            for beginning in self._beginnings(first, attempts, late):
                yield self._write(beginning, late, Stats())
        except Cancelled:
            if self._job.cancelled():
                raise

    def _write(
        self, beginning: Sequence[int], cancelled: Callable[[], bool], stats: Stats
    ) -> Written:
        """Give the answer that starts with the tokens `beginning`."""
        tokenizer = self._engine.tokenizer
        stream = TextStream(tokenizer, self._prompt.owed)
        stopping = Stopping(self._job.request, self._max_lines)
        tokens = list(beginning)
        steps = self._engine.generate(
            [*self._prompt.ids, *beginning],
            Limits(max(1, self._max_tokens - len(beginning)), tokenizer.stop_ids),
            cancelled,
            owed=self._owed_after(beginning),
            stats=stats,
        )
        text = stream.push(beginning)
        begun, most = len(text), max(len(beginning) + 1, self._max_tokens)
        try:
            for step in steps:
                tokens += step.tokens
                text = stream.push(step.tokens)
                if (stopped := stopping.update(text)) is not None:
                    return Written(stopped, tokens, text, begun)
            ended = len(tokens) < most
            return Written(stopping.finish(text), tokens, text, begun, ended)
        finally:
            if isinstance(steps, Generator):  # ends the engine's work on it now
                steps.close()

    def _beginnings(
        self, first: Written, attempts: int, cancelled: Callable[[], bool]
    ) -> Iterator[list[int]]:
        """Give how other answers could begin, best first."""
        paying = self._paying(first.tokens)
        tokens = self._engine.alternatives(
            [*self._prompt.ids, *paying], attempts + 1, cancelled, owed=self._owed_after(paying)
        )
        known = {*first.tokens[len(paying) : len(paying) + 1], *self._engine.tokenizer.stop_ids}
        for token in tokens:
            if token not in known:
                yield [*paying, token]

    def _paying(self, tokens: Sequence[int]) -> list[int]:
        """Give the first tokens, as far as they spell nothing but owed bytes.

        Where answers differ only in how they spell those, they are the same answer.
        """
        paying: list[int] = []
        for token in tokens:
            owed = self._owed_after(paying)
            if not owed or not owed.startswith(self._engine.tokenizer.token_bytes(token)):
                break
            paying.append(token)
        return paying

    def _owed_after(self, tokens: Sequence[int]) -> bytes:
        spelled = sum(len(self._engine.tokenizer.token_bytes(token)) for token in tokens)
        return self._prompt.owed[spelled:]
