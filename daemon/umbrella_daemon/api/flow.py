"""From requests to the engine to an answer over HTTP, whole or as it comes, in any shape."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from umbrella_daemon.api.attendance import EventStream, attended
from umbrella_daemon.api.errors import STATUS_OF_FAULT, ApiError, body_of
from umbrella_daemon.client import DaemonClient
from umbrella_daemon.link import DaemonError
from umbrella_daemon.wire import Finish, Generate, Generated, Token, Usage

Json = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """One answer, as far as it came."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    last: Generated = field(default_factory=lambda: Generated(0))

    def take(self, piece: Generated) -> None:
        """Add a piece."""
        self.text += piece.text
        self.tokens += piece.tokens
        self.last = piece

    @property
    def usage(self) -> Usage:
        """What it cost."""
        return self.last.usage


class Shape(Protocol):
    """How an API says what the engine wrote; one object for each request."""

    media_type: str  # of a stream

    def piece(self, index: int, piece: Generated) -> Iterable[Json]:
        """Give the events of a stream for a piece of answer `index`, the first of which is 0."""
        ...

    def end(self, answers: Sequence[Answer]) -> Iterable[Json]:
        """Give the events after all answers."""
        ...

    def whole(self, answers: Sequence[Answer]) -> Any:
        """Give the body that says everything at once."""
        ...

    def encode(self, event: Json) -> bytes:
        """Write an event of a stream."""
        ...

    def farewell(self) -> bytes:
        """Write what ends a stream."""
        ...


class ServerSentEvents:
    """Streams as `text/event-stream`; part of a `Shape`."""

    media_type = "text/event-stream"

    def encode(self, event: Json) -> bytes:
        """Write an event."""
        return b"data: " + msgspec.json.encode(event) + b"\n\n"

    def farewell(self) -> bytes:
        """Write OpenAI's last line."""
        return b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Flow:
    """The way to the engine."""

    daemon: DaemonClient
    stall_seconds: float

    async def respond(
        self, request: Request, generations: Sequence[Generate], shape: Shape, *, stream: bool
    ) -> Response:
        """Have `generations` written and give them in `shape`. Raises ApiError and DaemonError."""
        streams = [self.daemon.generate(one) for one in generations]
        pieces = merged(streams)
        try:
            first = await attended(request.receive, anext(pieces))
            _check(first[1])
            if stream:
                events = _events(request.url.path, first, pieces, shape, len(streams))
                return EventStream(events, shape.media_type, self.stall_seconds)
            answers = await attended(request.receive, _collected(first, pieces, len(streams)))
        except BaseException:
            await pieces.aclose()
            raise
        return JSONResponse(shape.whole(answers))


Numbered = tuple[int, Generated]


async def merged(streams: Sequence[AsyncGenerator[Generated]]) -> AsyncGenerator[Numbered]:
    """Give the pieces of several answers as they come; closing this closes all of them."""
    waiting = {asyncio.ensure_future(anext(one)): (index, one) for index, one in enumerate(streams)}
    try:
        while waiting:
            ready, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in ready:
                index, stream = waiting.pop(task)
                with contextlib.suppress(StopAsyncIteration):
                    piece = task.result()
                    waiting[asyncio.ensure_future(anext(stream))] = index, stream
                    yield index, piece
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


async def _collected(first: Numbered, pieces: AsyncGenerator[Numbered], count: int) -> list[Answer]:
    answers = [Answer() for _ in range(count)]
    answers[first[0]].take(first[1])
    async for index, piece in pieces:
        _check(piece)
        answers[index].take(piece)
    return answers


async def _events(
    path: str, first: Numbered, pieces: AsyncGenerator[Numbered], shape: Shape, count: int
) -> AsyncGenerator[bytes]:
    """Give the bytes of a stream; what goes wrong on the way is its last event."""
    answers = [Answer() for _ in range(count)]

    def taken(index: int, piece: Generated) -> Iterable[bytes]:
        _check(piece)
        answers[index].take(piece)
        return [shape.encode(event) for event in shape.piece(index, piece)]

    try:
        for event in taken(*first):
            yield event
        async for index, piece in pieces:
            for event in taken(index, piece):
                yield event
        for last in shape.end(answers):
            yield shape.encode(last)
    except (ApiError, DaemonError) as error:
        status = error.status if isinstance(error, ApiError) else 503
        yield shape.encode(body_of(path, status, str(error)))
    finally:
        await pieces.aclose()
    if farewell := shape.farewell():
        yield farewell


def _check(piece: Generated) -> None:
    """Raise what a piece says went wrong."""
    if piece.finish == Finish.ERROR:
        raise ApiError(STATUS_OF_FAULT.get(piece.error, 500), piece.detail)
    if piece.finish == Finish.CANCELLED:
        raise ApiError(503, piece.detail or "the daemon is stopping")
