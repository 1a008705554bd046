"""A trace of typing replayed to a contender, key by key, on the trace's clock or without it.

Two paces. `answers`: each key waits for its answer and until nothing is prepared any more, so that
two runs do the same work; it shows what is done for a key, as if the typist were slow. `typed`:
keys come when they came, whatever was answered, and a new one takes the request before it back, as
editors do; it shows what a person sees.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from umbrella_daemon.typing_trace import Ask, Change, Close, Event, Focus, Open, Place, asks

Pace = Literal["answers", "typed"]
LONGEST_PAUSE: Final = 3.0  # seconds; nobody learns anything from waiting longer
OVERTAKEN: Final = "overtaken"  # the next key came before the answer

Advanced = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was there for a key."""

    text: str
    source: str  # "store", "prefetch", "engine", "cache"; "" where nothing was asked
    reason: str = ""  # why there is no text


@dataclass(slots=True)
class Key:
    """One ask of the trace and what came of it."""

    document: str
    ms: float  # from the key to the answer, or to being overtaken
    answer: Answer


@dataclass(slots=True)
class Work:
    """What the model did for a session: asked for, and ahead of being asked."""

    prompt_tokens: int = 0  # of all requests that reached the model
    prefilled: int = 0  # of them computed, not reused
    generated: int = 0
    steps: int = 0
    accepted: int = 0
    requests: int = 0
    ahead_prefilled: int = 0  # while nothing was asked
    ahead_generated: int = 0
    taken_back: int = 0  # requests that were cancelled or superseded
    wasted_ms: float = 0.0  # that they took
    free_ms: list[float] = field(default_factory=list)  # until the model was free for a request


class Contender(Protocol):
    """An editor's side: told of everything, asked for suggestions."""

    @property
    def name(self) -> str:
        """What its row is called."""
        ...

    async def open(self, event: Open) -> None:
        """Take a document over."""
        ...

    async def change(self, event: Change) -> None:
        """Follow an edit."""
        ...

    async def focus(self, document: str, at: Place) -> None:
        """Follow the cursor."""
        ...

    async def close_document(self, document: str) -> None:
        """Forget a document."""
        ...

    async def ask(self, document: str, at: Place) -> Answer:
        """Give what can be shown; cancelling the task takes the request back."""
        ...

    async def settle(self) -> None:
        """Wait until nothing is under way or prepared."""
        ...

    async def explain(self, keys: list[Key]) -> None:
        """Fill in afterwards where answers came from, where that was not known at once."""
        ...

    async def work(self) -> Work:
        """Say what the model did."""
        ...


async def replay(
    events: Sequence[Event], contender: Contender, pace: Pace, advanced: Advanced
) -> list[Key]:
    """Replay a trace; give every key."""
    run = _Replay(contender, pace)
    total, done = max(1, asks(events)), 0
    clock = _Clock(real=pace == "typed")
    for event in events:
        await clock.wait(event.ms)
        if isinstance(event, Ask):
            done += 1
            if done % 5 == 0:
                advanced(f"typing, {contender.name}: key {done} of {total}", 100 * done // total)
        await run.take(event)
    await run.finish()
    return run.keys


class _Clock:
    """The trace's time; pauses of more than a few seconds are cut."""

    def __init__(self, *, real: bool) -> None:
        self._real = real
        self._due = time.perf_counter()
        self._last_ms = 0.0

    async def wait(self, ms: float) -> None:
        if self._real:
            self._due += min(LONGEST_PAUSE, (ms - self._last_ms) / 1e3)
            self._last_ms = ms
            await asyncio.sleep(max(0.0, self._due - time.perf_counter()))


class _Replay:
    """What is under way."""

    def __init__(self, contender: Contender, pace: Pace) -> None:
        self._contender = contender
        self._waits = pace == "answers"
        self._pressed = time.perf_counter()  # the key that led to the next ask
        self._open: asyncio.Task[None] | None = None
        self.keys: list[Key] = []

    async def take(self, event: Event) -> None:
        """Pass one event on."""
        match event:
            case Ask(document=document, at=at):
                await self._ask(document, at)
                return
            case Open():
                await self._contender.open(event)
            case Change():
                self._pressed = time.perf_counter()
                await self._take_back()
                await self._contender.change(event)
            case Focus(document=document, at=at):
                await self._contender.focus(document, at)
            case Close(document=document):
                await self._contender.close_document(document)
        if self._waits and isinstance(event, Open | Focus):
            await self._contender.settle()

    async def finish(self) -> None:
        """Wait for the last answer."""
        if self._open is not None:
            await self._open

    async def _ask(self, document: str, at: Place) -> None:
        await self._take_back()
        key = Key(document, 0.0, Answer("", "", OVERTAKEN))
        self.keys.append(key)
        self._open = asyncio.create_task(self._answer(key, at, self._pressed))
        if self._waits:
            await self._open
            await self._contender.settle()
        else:
            await asyncio.sleep(0)

    async def _answer(self, key: Key, at: Place, pressed: float) -> None:
        try:
            key.answer = await self._contender.ask(key.document, at)
        finally:
            key.ms = (time.perf_counter() - pressed) * 1e3

    async def _take_back(self) -> None:
        """Cancel what the key before asked for, where it was not answered."""
        if self._open is None:
            return
        self._open.cancel()
        with suppress(asyncio.CancelledError):
            await self._open
        self._open = None
