"""The daemon as the language server and the command line see it: ask, and always get an answer.

A lost daemon is found or started again by the next request. Knows nothing of LSP.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from msgspec.structs import replace

from umbrella_daemon import wire
from umbrella_daemon.link import DaemonError, DaemonLost, Link, RequestRefused
from umbrella_daemon.rendezvous import Rendezvous
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Completed, Phase, Reason, Status

__all__ = ["DaemonClient", "DaemonError", "DaemonLost", "stop_daemon"]

PATIENCE_SECONDS: Final = 2.0  # that a request waits for a daemon that is being started
RETRY_SECONDS: Final = 5.0  # between attempts to start a daemon that cannot be started
SETTLED: Final = ("ready", "failed", "backend-down")


class DaemonClient:
    """Talks to the daemon; makes its connection when it is first needed, or by `connect`."""

    def __init__(
        self,
        settings: Settings,
        name: str = "umbrella-lsp",
        *,
        start: bool = True,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> None:
        self.phase = Phase("starting", "The daemon is starting.")
        self._rendezvous = Rendezvous(settings, name)
        self._start = start
        self._on_phase = on_phase
        self._ids = itertools.count(1)
        self._link: Link | None = None
        self._connecting: asyncio.Task[Link] | None = None
        self._failure = ""
        self._failed_at = 0.0
        self._settled = asyncio.Event()
        self._closed = False

    @classmethod
    async def connect(
        cls,
        settings: Settings,
        name: str = "umbrella-lsp",
        *,
        start: bool = True,
        on_phase: Callable[[Phase], None] | None = None,
    ) -> "DaemonClient":
        """Connect to the daemon, starting one where none runs and `start` allows it.

        `on_phase` is called for each step on the daemon's way to ready. Raises DaemonError.
        """
        client = cls(settings, name, start=start, on_phase=on_phase)
        try:
            await client._reach()
        except BaseException:
            await client.close()
            raise
        return client

    @property
    def connected(self) -> bool:
        """Whether a daemon is at the other end now."""
        return self._link is not None and self._link.alive

    async def complete(
        self,
        *,
        document: str,
        version: int,
        language: str,
        path: str,
        prefix: str,
        suffix: str,
        explicit: bool = False,
        max_tokens: int | None = None,
        max_lines: int | None = None,
        min_confidence: float | None = None,
        candidates: int = 1,
        snippets: tuple[wire.Snippet, ...] = (),
        context: bool = True,
    ) -> Completed:
        """Ask for the text at a cursor; arguments are the fields of `wire.Complete`.

        Raises nothing of its own: trouble is an answer with a reason. Cancelling the awaiting task
        cancels the work in the daemon.
        """
        request = wire.Complete(
            id=0,
            document=document,
            version=version,
            language=language,
            path=path,
            prefix=prefix,
            suffix=suffix,
            explicit=explicit,
            max_tokens=max_tokens,
            max_lines=max_lines,
            min_confidence=min_confidence,
            candidates=candidates,
            snippets=snippets,
            context=context,
        )
        return await self.ask(request)

    async def ask(self, request: wire.Complete) -> Completed:
        """Ask as `complete` does; the request's id is chosen here."""
        request = replace(request, id=next(self._ids))
        try:
            link = await self._reach(PATIENCE_SECONDS)
            answer = link.request(request)
        except TimeoutError:
            return _silence(request, Reason.LOADING, "The daemon is starting.")
        except RequestRefused as error:
            return _silence(request, error.reason, str(error))
        except DaemonError as error:
            return _silence(request, Reason.DAEMON_LOST, str(error))
        try:
            completed = await answer
        except DaemonLost as error:
            return _silence(request, Reason.DAEMON_LOST, f"{error}; the next request restarts it")
        except asyncio.CancelledError:
            if link.alive:
                link.cancel(request.id)
            raise
        assert isinstance(completed, Completed)
        return completed

    async def generate(self, request: wire.Generate) -> AsyncGenerator[wire.Generated]:
        """Give the pieces of the answer to `request`, whose id is chosen here, as they come.

        The last is `done` and says why; stopping to read earlier cancels the work in the daemon.
        Raises DaemonError.
        """
        link = await self._reach()
        pieces = link.stream(replace(request, id=next(self._ids)))
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def tokenize(self, text: str, *, controls: bool = False) -> wire.Tokens:
        """Give the ids of a text; raises DaemonError."""
        link = await self._reach()
        answer = await link.request(wire.Tokenize(next(self._ids), text, controls))
        assert isinstance(answer, wire.Tokens)
        return answer

    async def detokenize(self, ids: Sequence[int]) -> wire.Text:
        """Give the text of ids; raises DaemonError."""
        answer = await (await self._reach()).request(wire.Detokenize(next(self._ids), tuple(ids)))
        assert isinstance(answer, wire.Text)
        return answer

    def tell(self, notice: wire.Notice) -> None:
        """Send what has no answer, where a daemon is connected."""
        if self._link is not None and self._link.alive:
            self._link.tell(notice)

    @property
    def link(self) -> object:
        """The connection itself: another one means that the daemon knows nothing any more."""
        return self._link

    async def status(self, traces: int = 20) -> Status:
        """Ask for the daemon's state with its latest `traces`; raises DaemonError."""
        link = await self._reach()
        status = await link.request(wire.GetStatus(next(self._ids), traces))
        assert isinstance(status, Status)
        return status

    async def ready(self) -> Phase:
        """Wait until the model is loaded, or has failed to; raises DaemonError."""
        await self._reach()
        await self._settled.wait()
        return self.phase

    async def stop(self) -> None:
        """Ask the daemon to answer what is open and exit, and wait for it; raises DaemonError."""
        await self.close()
        await self._rendezvous.stop()

    async def close(self) -> None:
        """End the connection; requests that still wait are answered with a reason."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._link is not None:
            self._link.close()
            await self._link.lost

    async def _reach(self, patience: float | None = None) -> Link:
        """Give the live connection, made anew where it is lost.

        Raises DaemonError, and TimeoutError after `patience` seconds; the attempt goes on then.
        """
        if self._link is not None and self._link.alive:
            return self._link
        if self._closed:
            raise DaemonError("this client was closed")
        if self._connecting is None:
            if time.monotonic() < self._failed_at + RETRY_SECONDS and self._failure:
                raise DaemonError(self._failure)
            attempt = self._rendezvous.find_or_start if self._start else self._rendezvous.find
            self._connecting = asyncio.create_task(attempt())
            self._connecting.add_done_callback(self._reached)
        return await asyncio.wait_for(asyncio.shield(self._connecting), patience)

    def _reached(self, attempt: asyncio.Task[Link]) -> None:
        """Keep what an attempt to connect came to, whether or not somebody still waits for it."""
        self._connecting = None
        self._failure = ""
        if attempt.cancelled():
            return
        if error := attempt.exception():
            self._failure, self._failed_at = str(error), time.monotonic()
            return
        self._link = attempt.result()
        if self._closed:
            self._link.close()
            return
        self.phase = Phase("starting", "The daemon is starting.")
        self._settled.clear()
        self._link.lost.add_done_callback(self._lose)
        self._link.watch(self._set_phase)

    def _lose(self, _: asyncio.Future[None]) -> None:
        if self.phase.phase not in SETTLED:  # nobody should go on showing its progress
            self._set_phase(Phase("failed", "The daemon went away; the next request restarts it."))

    def _set_phase(self, phase: Phase) -> None:
        self.phase = phase
        if phase.phase in SETTLED:
            self._settled.set()
        else:
            self._settled.clear()
        if self._on_phase is not None:
            self._on_phase(phase)


async def stop_daemon(settings: Settings) -> bool:
    """Stop the daemon, of whatever version it is; False when none runs. Raises DaemonError."""
    return await Rendezvous(settings, "umbrella stop").stop()


def _silence(request: wire.Complete, reason: str, detail: str) -> Completed:
    trace = wire.Trace(version=request.version, language=request.language, reason=reason)
    return Completed(request.id, reason=reason, detail=detail, trace=trace)
