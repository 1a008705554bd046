"""Bytes to and from one editor: cuts messages out of the stream and hands them on.

At most one message is handed on a turn of the event loop, so that its handler begins before the
next one is looked at: a request sees its document as it was when it was sent. Written as a
protocol, not over streams, because each `await` on a stream costs a turn of the loop.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final, cast

_HEADER: Final = re.compile(
    rb"content-length:[ \t]*(\d+)[ \t]*\r?\n"  # the one field that matters
    rb"(?:[^\r\n]+\r?\n)*\r?\n",  # others, and the empty line
    re.IGNORECASE,
)
MAX_HEADER_BYTES: Final = 2**16


class Channel(asyncio.Protocol):
    """Calls `receive` with the body of each message and `gone` when no more can come."""

    def __init__(self, receive: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[None] = self._loop.create_future()
        self.flushed: asyncio.Future[None] = self._loop.create_future()
        self._receive = receive
        self._gone = gone
        self._buffer = bytearray()
        self._length: int | None = None  # of the next body, once its header was read
        self._waiting = False  # whether the next message is due in the next turn
        self._in: asyncio.BaseTransport | None = None
        self._out: asyncio.WriteTransport | None = None

    def write(self, data: bytes) -> None:
        """Send bytes; they are lost when the editor is gone."""
        if self._out is not None and not self._out.is_closing():
            self._out.write(data)

    def close(self) -> None:
        """End the connection; `flushed` tells when everything is sent."""
        if self._out is not None:
            self._out.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the way back to the editor, unless there is an outlet."""
        self._in = transport
        if self._out is None:
            self.attach(transport)
        self.connected.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the editor is gone."""
        if self._in is self._out:
            self.detach()
        self._gone()

    def attach(self, transport: asyncio.BaseTransport) -> None:
        """Send through `transport` from now on."""
        self._out = cast(asyncio.WriteTransport, transport)

    def detach(self) -> None:
        """Note that nothing can be sent any more."""
        self.flushed.set_result(None)
        self._gone()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the editor."""
        self._buffer += data
        if not self._waiting:
            self._hand_on()

    def _hand_on(self) -> None:
        body = self._next_body()
        self._waiting = body is not None and bool(self._buffer)
        try:
            if body is not None:
                self._receive(body)
        finally:
            if self._waiting:
                self._loop.call_soon(self._hand_on)  # after what `receive` has started

    def _next_body(self) -> bytes | None:
        if self._length is None:
            header = _HEADER.search(self._buffer)
            if header is None:
                if len(self._buffer) > MAX_HEADER_BYTES:  # no editor
                    self._buffer.clear()
                    self.close()
                    self._gone()
                return None
            self._length = int(header[1])
            del self._buffer[: header.end()]
        if len(self._buffer) < self._length:
            return None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        self._length = None
        return body


class Outlet(asyncio.BaseProtocol):
    """The protocol of a transport that only sends, for a channel that needs one."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the channel send through it."""
        self._channel.attach(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the channel that everything is sent, or that the editor reads no more."""
        self._channel.detach()
