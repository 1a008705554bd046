"""One `Generate` on its way: its prompt, the engine's steps, the pieces that are sent.

Runs in the engine thread, a step at a time, so that others have their turn in between. Until the
first token is there it gives way after a forward pass and begins anew later, over what the lane has
kept; the more often it did, the more passes it takes before, so that it comes to its first token
whatever others ask. Afterwards it keeps its lane and its place. So its text is the same whoever
interrupts it.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final

from umbrella_daemon.backends.faults import BackendDown, BackendRefused
from umbrella_daemon.resident.answer_stream import AnswerStream
from umbrella_daemon.resident.undertaking import BadRequest, Undertaking, undertake
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Fault, Finish, Generate, Generated, Usage
from umbrella_engine.errors import Cancelled, ContextOverflow
from umbrella_engine.interface import Engine, Step
from umbrella_engine.stats import Stats

log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Times:
    """Milliseconds; work alone, but for `first`."""

    first: float = 0.0  # from receipt to the first token
    prompt: float = 0.0
    generate: float = 0.0


class Generation:
    """A request, who asked, and where the pieces go; `reply` is called in any thread."""

    def __init__(
        self,
        client: int,
        request: Generate,
        settings: PromptSettings,
        reply: Callable[[Generated], object],
    ) -> None:
        self.client = client
        self.request = request
        self.stopped = False  # nobody wants more; the engine reads it before each forward pass
        self._settings = settings
        self._reply = reply
        self._received = time.perf_counter()
        self._times = Times()
        self._undertaking: Undertaking | None = None
        self._stream: AnswerStream | None = None
        self._steps: Iterator[Step] | None = None
        self._stats = Stats()
        self._given_way = 0  # how often, before the first token
        self._cached: int | None = None  # tokens of the prompt, when it was first begun

    def advance(self, engine: Engine, give_way: Callable[[], bool]) -> bool:
        """Take the next step; gives whether there is more to do.

        `give_way` says whether somebody waits who goes first. Raises nothing: trouble is answered.
        """
        try:
            return self._advance(engine, give_way)
        except BackendDown as error:
            self.end(Finish.ERROR, Fault.BACKEND_DOWN, str(error))
        except (BadRequest, BackendRefused, ContextOverflow) as error:
            self.end(Finish.ERROR, Fault.REQUEST, str(error))
        except BaseException as error:  # a panic in a compiled tokenizer is no Exception
            log.exception("generation %d of client %d failed", self.request.id, self.client)
            self.end(
                Finish.ERROR,
                Fault.INTERNAL,
                f"The engine failed ({type(error).__name__}: {error}); `umbrella logs` has the "
                "details. The next request starts afresh.",
            )
        return False

    def end(self, finish: str, error: str = "", detail: str = "") -> None:
        """Answer that there is no more, and let go of the lane."""
        self._close()
        text, tokens = self._stream.take(last=True) if self._stream else ("", ())
        self._reply(
            Generated(
                self.request.id,
                text,
                tokens if self.request.logprobs else (),
                done=True,
                finish=finish,
                stopped_by=self._undertaking.stops.found if self._undertaking else "",
                error=error,
                detail=detail,
                usage=self._usage(),
            )
        )

    def _advance(self, engine: Engine, give_way: Callable[[], bool]) -> bool:
        began = time.perf_counter()
        try:
            if self.stopped:
                raise Cancelled
            if self._undertaking is None or self._stream is None:
                self._undertaking = undertake(self.request, engine, self._settings)
                self._stream = AnswerStream(
                    engine.tokenizer, self._undertaking.prompt.owed, self._undertaking.rules
                )
            if self._steps is None:
                self._steps = self._begin(engine, self._undertaking, give_way)
            step = next(self._steps, None)
        except Cancelled:
            self._close()
            self._note(began)
            self._given_way += 1
            if self.stopped:
                self.end(Finish.CANCELLED)
            return not self.stopped
        self._note(began, first=step is not None and not self._times.first)
        return self._take(step, self._stream, self._undertaking.limits.max_tokens)

    def _begin(
        self, engine: Engine, undertaking: Undertaking, give_way: Callable[[], bool]
    ) -> Iterator[Step]:
        self._stats = Stats()
        passes = 0

        def unwanted() -> bool:
            """Say before each forward pass whether it is not to be made."""
            nonlocal passes
            passes += 1
            reading = not self._times.first and passes > 1 + self._given_way // 2
            return self.stopped or (reading and give_way())

        return engine.generate(
            undertaking.prompt.ids,
            undertaking.limits,
            unwanted,
            owed=undertaking.prompt.owed,
            stats=self._stats,
            sampling=undertaking.sampling,
        )

    def _take(self, step: Step | None, stream: AnswerStream, most: int) -> bool:
        """Send what a step settled; gives whether there is more to come."""
        if step is not None:
            stream.push(step)
            if not stream.ended:
                text, tokens = stream.take()
                tokens = tokens if self.request.logprobs else ()
                if text or tokens:
                    piece = Generated(self.request.id, text, tokens, usage=self._usage())
                    self._reply(piece)
                return True
        full = not stream.ended and self._stats.generated_tokens >= most
        self.end(Finish.LENGTH if full else Finish.STOP)
        return False

    def _note(self, began: float, *, first: bool = False) -> None:
        """Charge the time since `began` to the prompt up to the first token, then to writing."""
        if self._cached is None and self._stats.prompt_tokens:
            self._cached = self._stats.reused_tokens
        spent = (time.perf_counter() - began) * 1e3
        if first:
            self._times.first = self._age_ms
            self._times.prompt += spent
        elif self._times.first:
            self._times.generate += spent
        else:
            self._times.prompt += spent

    def _usage(self) -> Usage:
        stats, times = self._stats, self._times
        return Usage(
            prompt_tokens=stats.prompt_tokens,
            cached_tokens=self._cached or 0,
            completion_tokens=stats.generated_tokens,
            steps=stats.target_steps,
            drafted_tokens=stats.drafted_tokens,
            accepted_tokens=stats.accepted_tokens,
            first_ms=round(times.first, 3),
            prompt_ms=round(times.prompt, 3),
            generate_ms=round(times.generate, 3),
            ms=round(self._age_ms, 3),
        )

    @property
    def _age_ms(self) -> float:
        return (time.perf_counter() - self._received) * 1e3

    def _close(self) -> None:
        """End the engine's work on it now; the lane is free afterwards."""
        steps, self._steps = self._steps, None
        if isinstance(steps, Generator):
            steps.close()
