"""One client of the daemon: handshake, frames in, frames out.

A client that sends what cannot be read is refused and only its own connection is closed; one that
does not read its answers is dropped, so that it costs the others nothing.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Iterator
from typing import Final, Protocol

from umbrella_daemon import __version__, wire
from umbrella_daemon.frames import FrameProtocol
from umbrella_daemon.peer import peer

log: Final = logging.getLogger(__name__)

HANDSHAKE_SECONDS: Final = 10.0
MAX_UNREAD_BYTES: Final = 4 * 2**20  # answers that a client has not read yet

_numbers: Iterator[int] = itertools.count(1)


class Desk(Protocol):
    """What a connection asks of the service; every method is called in the event loop's thread."""

    def arrive(self, connection: "Connection") -> None:
        """Take in a client whose handshake was accepted."""
        ...

    def leave(self, connection: "Connection") -> None:
        """Forget a client."""
        ...

    def complete(self, connection: "Connection", request: wire.Complete) -> None:
        """Answer `request` once, later, through `Connection.answer`."""
        ...

    def generate(self, connection: "Connection", request: wire.Generate) -> None:
        """Answer `request` piece by piece, later, through `Connection.piece`."""
        ...

    def spell(self, connection: "Connection", request: wire.Tokenize | wire.Detokenize) -> None:
        """Answer `request` once, later, through `Connection.answer`."""
        ...

    def cancel(self, connection: "Connection", request: int) -> None:
        """Stop working on `request`."""
        ...

    def heed(self, connection: "Connection", notice: wire.Notice) -> None:
        """Take note of what has no answer."""
        ...

    def status(self, request: wire.GetStatus) -> wire.Status:
        """Say how the daemon is."""
        ...

    def stop(self, why: str) -> None:
        """Answer what is open and exit."""
        ...


class Connection(FrameProtocol[wire.Request]):
    """The daemon's end of one client's socket."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(wire.decode_request, MAX_UNREAD_BYTES)
        loop = asyncio.get_running_loop()
        self.number = next(_numbers)
        self.name = ""  # "umbrella-lsp (process 123)" once the handshake is accepted
        self._desk = desk
        self._open: set[int] = set()  # requests not answered yet
        self._late = loop.call_later(HANDSHAKE_SECONDS, self.refuse, "no handshake came")

    def send(self, reply: wire.Reply) -> None:
        """Send `reply` unless the client is gone."""
        self.write(wire.frame(reply))

    def answer(self, answer: wire.Completed | wire.Tokens | wire.Text) -> None:
        """Send the answer to a request."""
        self._open.discard(answer.id)
        self.send(answer)

    def piece(self, piece: wire.Generated) -> None:
        """Send a piece of the answer to a `Generate`."""
        if piece.done:
            self._open.discard(piece.id)
        self.send(piece)

    def refuse(self, message: str) -> None:
        """Say why this connection ends, and end it."""
        log.warning("client %d (%s) refused: %s", self.number, self.name or "unknown", message)
        self.send(wire.Refused(message))
        self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse other users, whatever the file system let through."""
        super().connection_made(transport)
        uid = peer(transport.get_extra_info("socket")).uid
        if uid != os.getuid():
            self.refuse(f"this daemon serves uid {os.getuid()} only, not uid {uid}")

    def refuse_unreadable(self, error: Exception) -> None:
        """Refuse a client that sends no frames."""
        self.refuse(f"unreadable frame: {error}")

    def pause_writing(self) -> None:
        """Drop a client that does not read."""
        log.warning("client %d (%s) does not read; dropped", self.number, self.name)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop what the client asked for."""
        self._late.cancel()
        if self.name:
            self._desk.leave(self)
        super().connection_lost(exc)

    def receive(self, request: wire.Request) -> None:
        """Serve a request."""
        match request:
            case wire.Hello():
                self._greet(request)
            case _ if not self.name:
                self.refuse("the first frame must be a handshake")
            case wire.Complete() | wire.Generate() | wire.Tokenize() | wire.Detokenize():
                self._take(request)
            case wire.Warm() | wire.Opened() | wire.Closed():
                self._desk.heed(self, request)
            case wire.Cancel(id=number):
                self._desk.cancel(self, number)
            case wire.GetStatus():
                self.send(self._desk.status(request))
            case wire.Stop(id=number):
                self.send(wire.Stopping(number))
                self._desk.stop(f"{self.name} asked for it")

    def _take(
        self, request: wire.Complete | wire.Generate | wire.Tokenize | wire.Detokenize
    ) -> None:
        if request.id in self._open:
            self.refuse(f"request {request.id} is open already; ids must differ")
            return
        self._open.add(request.id)
        match request:
            case wire.Complete():
                self._desk.complete(self, request)
            case wire.Generate():
                self._desk.generate(self, request)
            case _:
                self._desk.spell(self, request)

    def _greet(self, hello: wire.Hello) -> None:
        if self.name:
            self.refuse("there was a handshake already")
            return
        if hello.protocol != wire.PROTOCOL:
            self.refuse(
                f"the daemon (Umbrella {__version__}, process {os.getpid()}) speaks protocol "
                f"{wire.PROTOCOL} and {hello.client} (Umbrella {hello.version}) speaks "
                f"{hello.protocol}; stop the daemon with `umbrella stop`, the next request starts "
                "the right one"
            )
            return
        self._late.cancel()
        self.name = f"{hello.client} (process {hello.pid})"
        self.send(wire.Welcome(wire.PROTOCOL, __version__, os.getpid()))
        self._desk.arrive(self)
