"""One connection to the daemon: handshake, frames out, answers matched to requests.

Promises that every request ends: with its answer, or with `DaemonLost` once the connection does.
Who stops reading a stream of pieces early has cancelled it.
Knows nothing of starting a daemon or of trying again.

DaemonError          no answer can be had from the daemon; the message says what to do
├── DaemonLost       the connection ended
├── DaemonRefused    the daemon does not speak with this client
└── RequestRefused   this request cannot be sent
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Final

from umbrella_daemon import __version__, wire
from umbrella_daemon.frames import FrameProtocol
from umbrella_daemon.peer import peer

HANDSHAKE_SECONDS: Final = 30.0  # importing torch from a cold disk holds a daemon up for long
MAX_UNSENT_BYTES: Final = 4 * wire.MAX_FRAME_BYTES


class DaemonError(Exception):
    """The daemon cannot be reached, started or understood; the message says what to do."""


class DaemonLost(DaemonError):
    """The connection ended before the answer."""


class DaemonRefused(DaemonError):
    """The daemon refused the handshake; it is process `pid`."""

    def __init__(self, message: str, pid: int) -> None:
        super().__init__(message)
        self.pid = pid


class RequestRefused(DaemonError):
    """The request is too large or not valid Unicode; the connection is as it was."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason  # a value of wire.Reason


class Link(FrameProtocol[wire.Reply]):
    """A connection to the daemon, usable once `open` has given it."""

    def __init__(self, name: str) -> None:
        super().__init__(wire.decode_reply, MAX_UNSENT_BYTES)
        loop = asyncio.get_running_loop()
        self.pid = 0
        self._name = name
        self._phase: wire.Phase | None = None
        self._on_phase: Callable[[wire.Phase], None] | None = None
        self._welcome: asyncio.Future[wire.Welcome] = loop.create_future()
        self._pending: dict[int, asyncio.Future[wire.Answer]] = {}
        self._streams: dict[int, asyncio.Queue[wire.Generated | None]] = {}  # None: lost
        self._farewell = "the daemon closed the connection"

    @classmethod
    async def open(cls, path: Path, name: str) -> tuple["Link", wire.Welcome]:
        """Connect to the socket at `path` and shake hands.

        Raises OSError when nothing listens there, and DaemonError.
        """
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: cls(name), str(path))
        try:
            return link, await asyncio.wait_for(link._welcome, HANDSHAKE_SECONDS)
        except TimeoutError:
            raise DaemonError(
                f"the daemon (process {link.pid}) does not answer; end it with "
                f"`kill -9 {link.pid}` and try again"
            ) from None
        finally:
            if link._welcome.cancelled() or link._welcome.exception():
                link.close()

    def watch(self, on_phase: Callable[[wire.Phase], None]) -> None:
        """Call `on_phase` with the daemon's phase now and whenever it changes."""
        self._on_phase = on_phase
        if self._phase is not None:
            on_phase(self._phase)

    def request(self, message: wire.Question) -> asyncio.Future[wire.Answer]:
        """Send a request; the future gives its answer, or raises DaemonLost.

        Raises RequestRefused and DaemonLost at once where nothing can be sent.
        """
        self._send(message)
        future: asyncio.Future[wire.Answer] = asyncio.get_running_loop().create_future()
        self._pending[message.id] = future
        future.add_done_callback(lambda _: self._pending.pop(message.id, None))
        return future

    async def stream(self, message: wire.Generate) -> AsyncGenerator[wire.Generated]:
        """Send a request and give the pieces of its answer, the last one `done`.

        Raises as `request` does, DaemonLost also between two pieces.
        """
        self._send(message)
        pieces = self._streams[message.id] = asyncio.Queue()
        done = False
        try:
            while not done:
                piece = await pieces.get()
                if piece is None:
                    raise DaemonLost(self._farewell)
                done = piece.done
                yield piece
        finally:
            del self._streams[message.id]
            if not done and self.alive:
                self.cancel(message.id)

    def _send(self, message: wire.Question) -> None:
        try:
            frame = wire.frame(message)
        except UnicodeEncodeError:
            raise RequestRefused("the text is not valid Unicode", wire.Reason.BINARY) from None
        if len(frame) > wire.MAX_FRAME_BYTES:
            raise RequestRefused(
                f"the text has {len(frame) / 2**20:.0f} MiB; at most "
                f"{wire.MAX_FRAME_BYTES / 2**20:.0f} are sent",
                wire.Reason.TOO_LARGE,
            )
        if not self.alive:
            raise DaemonLost(self._farewell)
        self.write(frame)

    def tell(self, notice: wire.Notice) -> None:
        """Send what has no answer; what cannot be sent is left out."""
        with contextlib.suppress(UnicodeEncodeError):
            frame = wire.frame(notice)
            if len(frame) <= wire.MAX_FRAME_BYTES:
                self.write(frame)

    def cancel(self, request: int) -> None:
        """Tell the daemon that nobody waits for `request` any more."""
        self.write(wire.frame(wire.Cancel(request)))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check who listens and say hello."""
        super().connection_made(transport)
        daemon = peer(transport.get_extra_info("socket"))
        self.pid = daemon.pid
        if daemon.uid != os.getuid():
            self._fail_handshake(
                DaemonError(
                    f"the daemon's socket is served by another user (uid {daemon.uid}); name "
                    "another path with the setting daemon.socket"
                )
            )
            return
        hello = wire.Hello(wire.PROTOCOL, self._name, __version__, os.getpid())
        self.write(wire.frame(hello))

    def refuse_unreadable(self, error: Exception) -> None:
        """Nothing of Umbrella is at the other end."""
        self._farewell = f"what listens at the daemon's socket is no daemon of ours ({error})"
        self._fail_handshake(
            DaemonError(f"{self._farewell}; name another path with the setting daemon.socket")
        )

    def receive(self, reply: wire.Reply) -> None:
        """Hand an answer to whoever asked."""
        match reply:
            case wire.Welcome():
                if not self._welcome.done():
                    self._welcome.set_result(reply)
            case wire.Refused(message=message):
                self._farewell = f"the daemon refused: {message}"
                self._fail_handshake(DaemonRefused(message, self.pid))
            case wire.Phase():
                self._phase = reply
                if self._on_phase is not None:
                    self._on_phase(reply)
            case wire.Generated():
                if reply.id in self._streams:
                    self._streams[reply.id].put_nowait(reply)
            case _:
                waiting = self._pending.get(reply.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)

    def _fail_handshake(self, error: DaemonError) -> None:
        if not self._welcome.done():
            self._welcome.set_exception(error)
        self.close()

    def pause_writing(self) -> None:
        """Give up on a daemon that reads nothing, before unsent text fills our memory."""
        self._farewell = f"the daemon (process {self.pid}) stopped reading"
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End everything that still waits."""
        waiting: list[asyncio.Future[Any]] = [self._welcome, *self._pending.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(DaemonLost(self._farewell))
        for pieces in self._streams.values():
            pieces.put_nowait(None)
        super().connection_lost(exc)
