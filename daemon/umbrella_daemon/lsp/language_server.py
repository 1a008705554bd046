"""The state of one editor window, put together from its parts.

Each part is told of the others only what it needs, as a function. What happens at which message
stands in `features`.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from umbrella_daemon import __version__
from umbrella_daemon.client import DaemonClient, DaemonError
from umbrella_daemon.lsp.acceptance import Acceptance
from umbrella_daemon.lsp.channel import Channel
from umbrella_daemon.lsp.journal import Journal
from umbrella_daemon.lsp.options import Options
from umbrella_daemon.lsp.pending import Pending
from umbrella_daemon.lsp.progress import LoadProgress
from umbrella_daemon.lsp.protocol import Protocol
from umbrella_daemon.lsp.recorder import Recorder
from umbrella_daemon.lsp.sharing import Sharing
from umbrella_daemon.wire import Phase

logger = logging.getLogger(__name__)

NAME: Final = "umbrella-lsp"
STATUS: Final = "umbrella/status"
WATCH_SECONDS: Final = 1.0
FAREWELL_SECONDS: Final = 2.0


class UmbrellaServer(LanguageServer):
    """One session with one editor."""

    protocol: Protocol  # pyright: ignore[reportIncompatibleVariableOverride] - as given below

    def __init__(self) -> None:
        super().__init__(NAME, __version__, protocol_cls=Protocol)
        self.pending = Pending()
        self.protocol.changed = self.pending.supersede
        self.options = Options(lambda text: self.show(text, types.MessageType.Warning))
        self.journal = Journal()
        self.journal.follow(lambda state: self.protocol.notify(STATUS, state))
        self.acceptance = Acceptance()
        self.sharing = Sharing()
        self.recorder = Recorder(
            self.protocol.documents, lambda text: self.show(text, types.MessageType.Info)
        )
        self.protocol.documents.follower = self.recorder
        self.bars = LoadProgress(self.work_done_progress)
        self.offers_menu = False  # whether the editor was told of `textDocument/completion`
        self.client: DaemonClient | None = None  # from `initialized` on
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    async def serve(self, connect: Callable[[Channel], Awaitable[None]]) -> int:
        """Serve until the editor leaves; give the exit status of the process."""
        channel = Channel(self._receive, self._over.set)
        self.protocol.set_writer(channel)
        await connect(channel)
        await self._over.wait()
        self.recorder.stop()
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                if self.client is not None:
                    await self.client.close()
                channel.close()
                await channel.flushed
        if self.protocol.exit_code is not None:
            return self.protocol.exit_code
        return 0 if self.protocol.stopping else 1

    async def connect(self) -> None:
        """Find or start the daemon with the settings as they are now, and follow its loading."""
        client = DaemonClient(self.options.settings, NAME, on_phase=self._enter)
        older, self.client = self.client, client
        if older is not None:
            await older.close()
        await self.wake()

    async def wake(self) -> None:
        """See to it that a daemon runs; where completion is switched off none is started."""
        client = self.client
        if client is None or client.connected or not self.options.settings.completion.enabled:
            return
        try:
            await client.ready()
        except DaemonError as error:
            if self.client is client:
                self._enter(Phase("failed", str(error)))

    def follow_settings(self) -> None:
        """Do what follows from settings that are different now."""
        self.journal.enable(self.options.settings.completion.enabled)
        self.recorder.follow(self.options.settings)
        self.in_background(self.wake())

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends or the editor leaves."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def show(self, text: str, kind: types.MessageType) -> None:
        """Show a message to the user."""
        self.window_show_message(types.ShowMessageParams(kind, text))

    def watch(self, pid: int | None) -> None:
        """End with the process `pid`, which the editor says is its own."""
        # an editor outside this container has a number that means nothing here
        if pid is not None and _runs(pid):
            self.in_background(self._end_with(pid))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log it: the user was not waiting for it and can do nothing about it."""
        logger.error("%s: %s", source.__name__, error)

    def _receive(self, body: bytes) -> None:
        if self.protocol.exit_code is None:
            self.protocol.receive(body)
        if self.protocol.exit_code is not None:
            self._over.set()

    async def _end_with(self, pid: int) -> None:
        while _runs(pid):  # noqa: ASYNC110 - other people's processes set no event
            await asyncio.sleep(WATCH_SECONDS)
        self._over.set()

    def _enter(self, phase: Phase) -> None:
        self.journal.enter(phase)
        self.bars.show(phase)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
