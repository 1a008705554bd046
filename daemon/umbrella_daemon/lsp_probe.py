"""The real language server as a child process, driven over stdio as an editor drives it.

For `umbrella demo` and `umbrella doctor`. Speaks JSON-RPC by itself, so that what it sees is what
an editor sees. Knows nothing of the daemon behind the server.
"""

import asyncio
import contextlib
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec

from umbrella_daemon import __version__

ANSWER_SECONDS: Final = 120.0  # the first completion of a cold pair on a slow machine
EXIT_SECONDS: Final = 10.0

Notified = Callable[[str, object], None]  # method, params


class ProbeError(Exception):
    """The language server is missing, ended, answered with an error or did not answer in time."""


class Position(msgspec.Struct, frozen=True):
    """Line and UTF-16 character, both from 0."""

    line: int
    character: int


class Range(msgspec.Struct, frozen=True):
    """From one position up to another."""

    start: Position
    end: Position


class Item(msgspec.Struct, frozen=True, rename="camel"):
    """One suggestion: the text that replaces the range."""

    insert_text: str
    range: Range


class _Items(msgspec.Struct, frozen=True):
    items: list[Item]


class _Message(msgspec.Struct, frozen=True):
    id: int | str | None = None
    method: str = ""
    params: object = None
    result: object = None
    error: object = None


class LanguageServer:
    """One `umbrella-lsp --stdio`; `notified` is told of every notification it sends."""

    def __init__(self, process: asyncio.subprocess.Process, notified: Notified) -> None:
        self._process = process
        self._notified = notified
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._sent = 0
        self._over = ""  # why nothing more will be answered
        self._stderr: deque[str] = deque(maxlen=8)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]

    @classmethod
    async def start(cls, notified: Notified = lambda method, params: None) -> Self:
        """Start the process; raises ProbeError where the command is not installed."""
        process = await asyncio.create_subprocess_exec(
            command(),
            "--stdio",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        return cls(process, notified)

    async def initialize(self, options: object) -> dict[str, object]:
        """Introduce ourselves as an editor; give the server's capabilities."""
        capabilities = {
            "window": {"workDoneProgress": True},
            "textDocument": {"inlineCompletion": {}, "synchronization": {}},
            "general": {"positionEncodings": ["utf-16"]},
        }
        params = {
            "processId": os.getpid(),
            "clientInfo": {"name": "umbrella", "version": __version__},
            "rootUri": None,
            "capabilities": capabilities,
            "initializationOptions": options,
        }
        result = await self.request("initialize", params)
        self.notify("initialized", {})
        return msgspec.convert(result, dict[str, dict[str, object]]).get("capabilities", {})

    def open(self, uri: str, language: str, text: str) -> None:
        """Open a document."""
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def type(self, uri: str, version: int, at: Position, text: str) -> None:
        """Insert `text` into an open document, which then has `version`."""
        change = {"range": Range(at, at), "text": text}
        document = {"uri": uri, "version": version}
        params = {"textDocument": document, "contentChanges": [change]}
        self.notify("textDocument/didChange", params)

    async def suggest(self, uri: str, at: Position) -> Item | None:
        """Ask for the suggestion at a place, as typing does."""
        params = {
            "textDocument": {"uri": uri},
            "position": at,
            "context": {"triggerKind": 2},
        }
        result = await self.request("textDocument/inlineCompletion", params)
        items = msgspec.convert(result, _Items | None)
        return items.items[0] if items and items.items else None

    async def request(self, method: str, params: object) -> object:
        """Send a request and give its result; raises ProbeError.

        Cancelling the awaiting task takes the request back.
        """
        if self._over:
            raise ProbeError(self._over)
        self._sent += 1
        number = self._sent
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            reason = f"umbrella-lsp did not answer {method} in {ANSWER_SECONDS:g} s."
            raise ProbeError(reason) from None
        except asyncio.CancelledError:
            self.notify("$/cancelRequest", {"id": number})
            raise
        finally:
            del self._waiting[number]

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    async def ended(self) -> None:
        """Wait until the process has gone."""
        await self._process.wait()

    async def close(self) -> None:
        """End the server as the protocol says, by force where it does not go."""
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                await self.request("shutdown", None)
                self.notify("exit", None)
                await self._process.wait()
        except (ProbeError, TimeoutError):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await asyncio.gather(*self._tasks)

    def _send(self, message: dict[str, object]) -> None:
        body = msgspec.json.encode({"jsonrpc": "2.0"} | message)
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        try:
            while header := await stream.readuntil(b"\r\n\r\n"):
                length = header.lower().split(b"content-length:")[1].split(b"\r\n")[0]
                body = await stream.readexactly(int(length))
                self._take(msgspec.json.decode(body, type=_Message))
        except asyncio.IncompleteReadError:
            await self._process.wait()
            self._over = f"umbrella-lsp ended. {' '.join(self._stderr)}"
        except (IndexError, ValueError, msgspec.MsgspecError) as error:
            self._over = f"umbrella-lsp does not speak the protocol: {error}"
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ProbeError(self._over))

    def _take(self, message: _Message) -> None:
        if message.method and message.id is None:
            self._notified(message.method, message.params)
        elif message.method:  # a request of the server's: nothing of ours needs an answer but null
            self._send({"id": message.id, "result": None})
        elif isinstance(message.id, int) and message.id in self._waiting:
            answer = self._waiting[message.id]
            if answer.done():  # it was taken back just now
                return
            if message.error is not None:
                answer.set_exception(ProbeError(f"umbrella-lsp answered: {message.error}"))
            else:
                answer.set_result(message.result)

    async def _listen(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        while line := await stream.readline():
            self._stderr.append(line.decode(errors="replace").rstrip())


def command() -> str:
    """Find `umbrella-lsp`: beside this Python, else on the PATH."""
    beside = Path(sys.executable).with_name("umbrella-lsp")
    found = str(beside) if beside.exists() else shutil.which("umbrella-lsp")
    if found is None:
        raise ProbeError(f"there is no umbrella-lsp beside {sys.executable}; install again.")
    return found
