"""Answers to one prompt, written token by token until the rules say that enough is said.

The first answer is the engine's own. Another begins with what the prompt is owed, spelled as in the
first, and a token that the model rates lower; from there on it is the engine's own again. Time
decides how many others there are. An answer ends early where its time is up, the first one also
where the model is no longer sure of it: then the best of it so far counts.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Final

from umbrella_daemon.resident.growth import Growth
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.judge import Bounds
from umbrella_daemon.resident.prompt import Prompt
from umbrella_daemon.resident.written import Written
from umbrella_engine.errors import Cancelled
from umbrella_engine.interface import Engine, Limits
from umbrella_engine.stats import Stats

MARGIN_TOKENS: Final = 64  # kept free for what token healing makes the answer repeat
OTHERS_SECONDS: Final = 1.0  # that somebody who has the first answer waits for others


class Writer:
    """Writes what `engine` makes of `prompt`; everything it does ends when `job` is cancelled."""

    def __init__(self, engine: Engine, job: Job, prompt: Prompt, bounds: Bounds) -> None:
        self._engine = engine
        self._job = job
        self._prompt = prompt
        self._bounds = bounds
        repeated = len(engine.tokenizer.encode(prompt.owed.decode(errors="ignore")))
        self._max_tokens = bounds.max_tokens + min(repeated, MARGIN_TOKENS)

    def write(self, stats: Stats) -> Written:
        """Give the engine's own answer; raises Cancelled."""
        return self._write((), self._job.cancelled, stats)

    def beginnings(self, count: int) -> list[str]:
        """Give what the tokens add that the model rates best, best first; raises Cancelled."""
        engine, owed = self._engine, self._prompt.owed
        tokens = engine.alternatives(self._prompt.ids, count, self._job.cancelled, owed=owed)
        pieces = [engine.tokenizer.token_bytes(token) for token in tokens]
        return [piece[len(owed) :].decode(errors="replace") for piece in pieces]

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
        bounds = replace(self._bounds, min_confidence=0.0) if beginning else self._bounds
        growth = Growth(self._job.request, tokenizer, self._prompt.owed, bounds, beginning)
        steps = self._engine.generate(
            [*self._prompt.ids, *beginning],
            Limits(max(1, self._max_tokens - len(beginning)), tokenizer.stop_ids),
            cancelled,
            owed=self._owed_after(beginning),
            stats=stats,
        )
        most = max(len(beginning) + 1, self._max_tokens)
        try:
            for step in steps:
                written = growth.push(step)
                if not beginning:
                    self._job.progress = growth.text
                if written is not None:
                    return written
                if growth.is_late:
                    return replace(growth.end(ended=False), late=True)
            return growth.end(ended=growth.tokens < most)
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
