"""What tests of the daemon share: a place of their own for it, and frames by hand."""

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from umbrella_daemon import __version__, wire
from umbrella_daemon.client import DaemonClient
from umbrella_daemon.settings import Settings, load_settings
from umbrella_daemon.wire import Completed

SECONDS = 20.0  # longest wait for anything that should happen at once
ReplyT = TypeVar("ReplyT", bound=msgspec.Struct)


class RawClient:
    """A client that sends exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, *messages: wire.Request | bytes) -> None:
        for message in messages:
            self.writer.write(message if isinstance(message, bytes) else wire.frame(message))

    async def receive(self, kind: type[ReplyT]) -> ReplyT:
        """Give the next reply, which must be a `kind`; phases are passed over."""
        while True:
            async with asyncio.timeout(SECONDS):
                header = await self._reader.readexactly(wire.HEADER.size)
                body = await self._reader.readexactly(wire.HEADER.unpack(header)[0])
            reply = wire.decode_reply(body)
            if isinstance(reply, kind):
                return reply
            assert isinstance(reply, wire.Phase), f"a {kind.__name__} was due, not {reply}"

    async def phase(self, name: str) -> wire.Phase:
        """Wait for the phase `name`."""
        while True:
            phase = await self.receive(wire.Phase)
            if phase.phase == name:
                return phase

    async def ended(self) -> bool:
        """Wait for the end of the connection, all sent before it being dropped."""
        async with asyncio.timeout(SECONDS):
            try:
                while await self._reader.read(2**16):
                    pass
            except ConnectionError:
                pass
        return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Home:
    """A user's home with a script for the scripted engine; daemons started here stay here."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self._monkeypatch = monkeypatch
        self._visitors: list[RawClient] = []
        for name in [name for name in os.environ if name.startswith("UMBRELLA_")]:
            monkeypatch.delenv(name)
        for name in ("CONFIG", "CACHE", "STATE", "DATA"):
            monkeypatch.setenv(f"XDG_{name}_HOME", str(path / name.lower()))
        monkeypatch.setenv("HOME", str(path))
        self.set("PAIR", "scripted")
        self.set("SCRIPT", str(path / "script.json"))
        self.set("DAEMON__SOCKET", str(path / "u.sock"))
        self.script(default="answer")

    def set(self, name: str, value: object) -> None:
        """Set the environment variable UMBRELLA_`name`."""
        self._monkeypatch.setenv(f"UMBRELLA_{name}", str(value))

    def script(self, **content: Any) -> None:
        """Say what the engine of the next load answers; see `umbrella_engine.script.Script`."""
        (self.path / "script.json").write_text(json.dumps(content))

    async def visit(self, *, hello: bool = True) -> RawClient:
        """Connect by hand to the daemon of this home, with or without a handshake."""
        client = RawClient(*await asyncio.open_unix_connection(str(self.socket)))
        self._visitors.append(client)
        if hello:
            client.send(wire.Hello(wire.PROTOCOL, "raw", __version__, os.getpid()))
            await client.receive(wire.Welcome)
        return client

    async def ready(self) -> RawClient:
        """Connect by hand and wait until the engine is loaded."""
        client = await self.visit()
        await client.phase("ready")
        return client

    async def clear_up(self) -> None:
        """End every connection made by hand."""
        for client in self._visitors:
            await client.close()

    @property
    def settings(self) -> Settings:
        """Settings as a program started here finds them."""
        return load_settings()

    @property
    def socket(self) -> Path:
        """The daemon's socket."""
        return self.path / "u.sock"

    @property
    def log(self) -> str:
        """What the daemons of this home have logged."""
        path = self.path / "state" / "umbrella" / "log" / "daemon.log"
        return path.read_text() if path.exists() else ""


def complete(number: int, prefix: str = "def ad", **fields: Any) -> wire.Complete:
    """A request at the end of `prefix`."""
    known: dict[str, Any] = {
        "document": "file:///a.py",
        "version": number,
        "language": "python",
        "path": "/home/me/a.py",
        "suffix": "",
    }
    return wire.Complete(id=number, prefix=prefix, **(known | fields))


async def ask(client: DaemonClient, prefix: str = "def ad", **fields: Any) -> Completed:
    """Ask `client` for the text at the end of `prefix`."""
    async with asyncio.timeout(SECONDS):
        return await client.ask(complete(1, prefix, **fields))


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """Make a directory that every user can enter and write to."""
    with tempfile.TemporaryDirectory(prefix="umbrella-test-") as path:
        Path(path).chmod(0o777)
        yield Path(path)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds; fails with `what` when it does not come about."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {SECONDS:.0f} s"
        await asyncio.sleep(0.01)
