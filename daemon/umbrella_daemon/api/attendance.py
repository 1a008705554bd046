"""Work that is done only as long as the client is there."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from umbrella_daemon.api.errors import CLIENT_GONE, ApiError

T = TypeVar("T")


async def attended(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`; it is cancelled, and ApiError raised, when the client closes the connection."""
    doing = asyncio.create_task(work)
    watching = asyncio.create_task(_departure(receive))
    try:
        await asyncio.wait({doing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise ApiError(CLIENT_GONE, "the client closed the connection")
    finally:
        for task in (doing, watching):
            task.cancel()
        await asyncio.gather(doing, watching, return_exceptions=True)


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Bytes as they come, until their end, the client's, or `stall_seconds` without it reading."""

    def __init__(
        self, events: AsyncGenerator[bytes], media_type: str, stall_seconds: float
    ) -> None:
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self._events = events
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; whatever ends this, the engine's work ends with it."""
        try:
            await attended(receive, self._send(send))
        except (ApiError, TimeoutError, OSError):  # nobody reads any more
            pass
        finally:
            await self._events.aclose()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async for event in self._events:
            async with asyncio.timeout(self._stall_seconds):
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
