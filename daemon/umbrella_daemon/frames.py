"""Frames in and out of a socket, at either end.

Reads into a buffer of its own: asyncio's plain Protocol allocates 256 KiB for every read, which
doubled the round trip of a 40 kB request. Knows nothing of what the messages mean.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

from umbrella_daemon import wire

READ_BYTES: Final = 2**16

MessageT = TypeVar("MessageT")


class FrameProtocol(asyncio.BufferedProtocol, Generic[MessageT]):
    """One end of a connection; subclasses say what to do with each message.

    `decode` reads a frame's body; `max_unsent_bytes` may wait for the other end to read them, more
    end the connection.
    """

    def __init__(self, decode: Callable[[bytes], MessageT], max_unsent_bytes: int) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._decode = decode
        self._max_unsent_bytes = max_unsent_bytes
        self._view = memoryview(bytearray(READ_BYTES))
        self._reader = wire.FrameReader()
        self._transport: asyncio.Transport | None = None

    @property
    def alive(self) -> bool:
        """Whether something can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def write(self, frame: bytes) -> None:
        """Send a frame, unless the other end is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def close(self) -> None:
        """End the connection once what was sent has been read."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def receive(self, message: MessageT, /) -> None:
        """Take a message in."""
        raise NotImplementedError

    def refuse_unreadable(self, error: Exception) -> None:
        """End the connection: what came is no frame, and nothing after it can be believed."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; asyncio calls this."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(self._max_unsent_bytes)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to read to; asyncio calls this."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take in what was read; asyncio calls this."""
        if not self.alive:
            return
        try:
            messages = [self._decode(body) for body in self._reader.feed(self._view[:nbytes])]
        except (ValueError, RecursionError) as error:  # nesting without end is no ValueError
            self.refuse_unreadable(error)
            return
        for message in messages:
            if self.alive:
                self.receive(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for the end; asyncio calls this."""
        if not self.lost.done():
            self.lost.set_result(None)
