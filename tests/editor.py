"""An editor reduced to its side of the protocol, over the pipes of a real `umbrella-lsp`.

It can also send what no editor should. Whatever it waits for has a deadline.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from umbrella_daemon.client import stop_daemon
from umbrella_daemon.settings import load_settings

DEADLINE_SECONDS = 30.0
SERVER = [str(Path(sys.executable).with_name("umbrella-lsp")), "--stdio"]
CAPABILITIES = {
    "textDocument": {"inlineCompletion": {}},
    "window": {"workDoneProgress": True},
}

Message = dict[str, Any]


class Refused(Exception):
    """The server answered a request with an error."""

    def __init__(self, error: Message) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]


def isolated(home: Path, script: Message | None = None) -> dict[str, str]:
    """Give an environment with everything of the user's below `home` and the scripted pair."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("UMBRELLA_", "XDG_"))
    }
    for name in ("CONFIG", "CACHE", "DATA", "STATE"):
        environment[f"XDG_{name}_HOME"] = str(home / name.lower())
    (home / "script.json").write_text(json.dumps(script or {}))
    return environment | {
        "HOME": str(home),
        "UMBRELLA_PAIR": "scripted",
        "UMBRELLA_SCRIPT": str(home / "script.json"),
        "UMBRELLA_DAEMON__SOCKET": str(home / "d.sock"),
    }


class Editor:
    """One session; `answers` maps methods that the server calls to what they give."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        process: asyncio.subprocess.Process,
    ) -> None:
        self.process = process
        self.answers: dict[str, Callable[[Any], object]] = {}
        self.received: list[Message] = []  # notifications and requests of the server
        self._writer = writer
        self._replies: dict[Any, asyncio.Future[Message]] = {}
        self._number = 0
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def start(cls, environment: Mapping[str, str], *command: str) -> "Editor":
        """Start a server on pipes; nothing is said to it yet."""
        process = await asyncio.create_subprocess_exec(
            *(command or SERVER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        return cls(process.stdout, process.stdin, process)

    async def initialize(
        self,
        capabilities: Message | None = None,
        options: object = None,
        encoding: str | None = None,
        **more: object,
    ) -> Message:
        """Go through the handshake; give the server's capabilities."""
        offered = dict(CAPABILITIES if capabilities is None else capabilities)
        if encoding is not None:
            offered["general"] = {"positionEncodings": [encoding]}
        result = await self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": None,
                "capabilities": offered,
                "initializationOptions": options,
            }
            | more,
        )
        self.notify("initialized", {})
        return dict(result["capabilities"])

    async def request(self, method: str, params: object, identity: object = None) -> Any:
        """Send a request and give its result; raises Refused."""
        reply = await asyncio.wait_for(self.ask(method, params, identity), DEADLINE_SECONDS)
        if "error" in reply:
            raise Refused(reply["error"])
        return reply["result"]

    def ask(self, method: str, params: object, identity: object = None) -> asyncio.Future[Message]:
        """Send a request; the future gives the whole reply."""
        if identity is None:
            self._number += 1
            identity = self._number
        reply = self._replies[identity] = asyncio.get_running_loop().create_future()
        self.send({"jsonrpc": "2.0", "id": identity, "method": method, "params": params})
        return reply

    async def reply_to(self, body: bytes, identity: object) -> Message:
        """Send a raw body and give the reply that carries `identity`."""
        reply = self._replies[identity] = asyncio.get_running_loop().create_future()
        self.send_bytes(body)
        return await asyncio.wait_for(reply, DEADLINE_SECONDS)

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def send(self, message: object) -> None:
        """Send any JSON."""
        self.send_bytes(json.dumps(message).encode())

    def send_bytes(self, body: bytes) -> None:
        """Send any body."""
        self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def open(self, uri: str, text: str, language: str = "python") -> None:
        """Open a document."""
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def type(self, uri: str, version: int, line: int, character: int, text: str) -> None:
        """Insert text into an open document."""
        at = {"line": line, "character": character}
        change = {"range": {"start": at, "end": at}, "text": text}
        document = {"uri": uri, "version": version}
        self.notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}
        )

    async def complete(self, uri: str, line: int, character: int) -> list[Message]:
        """Ask for what could stand at a place; give the items."""
        result = await self.request("textDocument/inlineCompletion", at(uri, line, character))
        return list(result["items"])

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        """Give the first message of the server's own, past or future, that is wanted."""

        def found() -> Message | None:
            return next(filter(wanted, self.received), None)

        async with asyncio.timeout(DEADLINE_SECONDS), self._news:
            message: Message = await self._news.wait_for(found)  # type: ignore[arg-type]
        return message

    async def ready(self) -> None:
        """Wait until the daemon has its model."""
        await self.until(
            lambda sent: sent["method"] == "umbrella/status" and sent["params"]["phase"] == "ready"
        )

    async def status(self, wanted: Callable[[Message], bool] = lambda status: True) -> Message:
        """Ask for the status until it is as wanted, and give it."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                status = await self.request("umbrella/status", {"traces": 9})
                if wanted(status):
                    return dict(status)
                await asyncio.sleep(0.01)

    async def close(self) -> int:
        """Leave as an editor does; give the server's exit status."""
        if self.process.returncode is None:
            with contextlib.suppress(Refused, ConnectionError):
                await self.request("shutdown", None)
                self.notify("exit", None)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the server to end by itself; give its exit status."""
        try:
            status = await asyncio.wait_for(self.process.wait(), DEADLINE_SECONDS)
        except TimeoutError:
            self.process.kill()
            raise
        await self._reading
        self._writer.close()
        return status

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                header = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.split(b": ") for line in header.strip().split(b"\r\n"))
                body = await reader.readexactly(int(fields[b"Content-Length"]))
                await self._take(json.loads(body))

    async def _take(self, message: Message) -> None:
        if "method" not in message:
            self._replies.pop(message["id"]).set_result(message)
            return
        if "id" in message:
            answer = self.answers.get(message["method"], lambda params: None)
            result = answer(message.get("params"))
            self.send({"jsonrpc": "2.0", "id": message["id"], "result": result})
        async with self._news:
            self.received.append(message)
            self._news.notify_all()


def at(uri: str, line: int, character: int, **context: object) -> Message:
    """Give the parameters of an inline completion request."""
    return {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": 2} | context,
    }


@asynccontextmanager
async def editors(home: Path, script: Message | None = None) -> AsyncIterator["Editors"]:
    """Give a way to start editors that share one daemon; all of them are gone afterwards."""
    world = Editors(isolated(home, script))
    try:
        yield world
    finally:
        await world.leave()
        await stop_daemon(load_settings(environ=world.environment, path=world.no_settings))


@contextmanager
def one_daemon(home: Path, script: Message | None = None) -> Iterator["Editors"]:
    """Give a way to start editors in many tests, whose daemon serves all of them."""
    world = Editors(isolated(home, script))
    yield world
    asyncio.run(stop_daemon(load_settings(environ=world.environment, path=world.no_settings)))


class Editors:
    """Starts editors in one environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.started: list[Editor] = []

    @property
    def no_settings(self) -> Path:
        """A settings file without any settings."""
        path = Path(self.environment["HOME"]) / "none.toml"
        path.touch()
        return path

    async def leave(self) -> None:
        """Close every editor that was started."""
        while self.started:
            await self.started.pop().close()

    async def start(self, *command: str, **environment: str) -> Editor:
        """Start an editor that has said nothing yet."""
        editor = await Editor.start(self.environment | environment, *command)
        self.started.append(editor)
        return editor

    async def begin(self, options: object = None, **initialize: Any) -> Editor:
        """Start an editor and wait until the daemon is ready for it."""
        editor = await self.start()
        await editor.initialize(options=options, **initialize)
        await editor.ready()
        return editor
