"""The demo's editing session with the real language server, measured; nothing is printed here."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from umbrella_daemon.demo.sample import NAME, PREFIX, SUFFIX, TYPED
from umbrella_daemon.lsp_probe import Item, LanguageServer, Position, ProbeError
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Status, Trace

STATUS: Final = "umbrella/status"
WORK: Final = ("downloading", "converting", "loading")

Show = Callable[[str, int | None], None]  # what is being done, percent


class _State(msgspec.Struct, frozen=True):
    phase: str
    message: str = ""


class _Work(msgspec.Struct, frozen=True):
    kind: str
    title: str = ""
    message: str | None = None
    percentage: int | None = None


class _Progress(msgspec.Struct, frozen=True):
    value: _Work


class _Account(msgspec.Struct, frozen=True):
    daemon: dict[str, object] | None  # of the fields of `wire.Status`


class Session:
    """One editor window with the sample file open in it.

    Raises ProbeError where the server does not do its part.
    """

    def __init__(self, settings: Settings, show: Show) -> None:
        self._settings = settings
        self._show = show
        self._uri = (Path.cwd() / NAME).as_uri()
        self._state = _State("starting")
        self._settled = asyncio.Event()
        self._began = time.perf_counter()
        self._server: LanguageServer | None = None
        self.work: set[str] = set()  # what the daemon did before it was ready

    @property
    def seconds(self) -> float:
        """Time since the session began."""
        return time.perf_counter() - self._began

    async def open(self) -> None:
        """Start the language server, open the file, wait until the model is ready."""
        server = self._server = await LanguageServer.start(self._notified)
        await server.initialize(msgspec.to_builtins(self._settings))
        server.open(self._uri, "python", PREFIX + SUFFIX)
        waiting = asyncio.create_task(self._settled.wait())
        ended = asyncio.create_task(server.ended())
        await asyncio.wait([waiting, ended], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        ended.cancel()
        if self._state.phase != "ready":
            raise ProbeError(f"The model could not be loaded: {self._state.message}")

    async def suggest(self) -> Item | None:
        """Ask for the suggestion at the sample's cursor."""
        return await self._editor.suggest(self._uri, _position(PREFIX))

    async def type(self) -> list[float]:
        """Type character by character and ask at each; give the milliseconds of each answer."""
        took = []
        for count, character in enumerate(TYPED):
            began = time.perf_counter()
            at = _position(PREFIX + TYPED[:count])
            self._editor.type(self._uri, count + 2, at, character)
            await self._editor.suggest(self._uri, _position(PREFIX + TYPED[: count + 1]))
            took.append((time.perf_counter() - began) * 1e3)
        return took

    async def status(self) -> Status:
        """Give the daemon's state and the traces of this session's requests."""
        answer = await self._editor.request(STATUS, {"traces": len(TYPED) + 1})
        account = msgspec.convert(answer, _Account).daemon
        if account is None:
            raise ProbeError("The daemon went away; `umbrella logs` tells more.")
        return msgspec.convert({"id": 0} | account, Status)

    async def close(self) -> None:
        """Close the window; the daemon goes on."""
        if self._server is not None:
            await self._server.close()

    @property
    def _editor(self) -> LanguageServer:
        assert self._server is not None, "open the session first"
        return self._server

    def _notified(self, method: str, params: object) -> None:
        if method == "$/progress":
            work = msgspec.convert(params, _Progress).value
            if work.kind != "end":
                self._show(work.message or work.title, work.percentage)
        elif method == STATUS:
            self._state = msgspec.convert(params, _State)
            if self._state.phase in WORK:
                self.work.add(self._state.phase)
            if self._state.phase in ("ready", "failed"):
                self._settled.set()


def of_version(traces: list[Trace], version: int) -> Trace | None:
    """Give the latest trace of the sample's text in this version."""
    found = [trace for trace in traces if (trace.document, trace.version) == (NAME, version)]
    return found[-1] if found else None


def _position(before: str) -> Position:
    """Give the place right after `before`, which is ASCII in its last line."""
    return Position(before.count("\n"), len(before) - before.rfind("\n") - 1)
