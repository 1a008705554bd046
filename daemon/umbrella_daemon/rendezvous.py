"""Find the daemon or start it, and settle which version of Umbrella serves.

An upgraded package must not talk to a process of the old one: whoever may start daemons also
replaces one of another version, once. Whoever only looks takes any daemon whose frames it can read.
"""

import asyncio
import contextlib
import importlib.metadata
import os
import signal
import time
from typing import Final

from umbrella_daemon import __version__, wire
from umbrella_daemon.launch import DaemonProcess
from umbrella_daemon.layers import SettingsError
from umbrella_daemon.link import DaemonError, DaemonLost, DaemonRefused, Link
from umbrella_daemon.paths import log_path, socket_path
from umbrella_daemon.settings import Settings

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
SLOWEST_POLL_SECONDS: Final = 0.1
RESTART_SECONDS: Final = 0.5  # after which a daemon that lost the race to another is started again


class Rendezvous:
    """Ways to one daemon; remembers whether it has replaced one already."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._replaced = False

    async def find(self) -> Link:
        """Connect to the daemon that runs; raises DaemonError when none does."""
        found = await self._knock()
        if found is None:
            raise DaemonError("no daemon is running; `umbrella start` starts one")
        return found[0]

    async def find_or_start(self) -> Link:
        """Connect to the daemon of our version, starting it where needed; raises DaemonError."""
        deadline = time.monotonic() + START_SECONDS
        started: DaemonProcess | None = None
        started_at = 0.0
        pause = 0.01
        while True:
            link = await self._knock_for_ours()
            if link is not None:
                return link
            if started is None or (
                started.status == 0 and time.monotonic() > started_at + RESTART_SECONDS
            ):
                started, started_at = self._start(), time.monotonic()
            elif started.status:
                raise DaemonError(_ended(started))
            if time.monotonic() > deadline:
                raise DaemonError(
                    f"the daemon did not answer within {START_SECONDS:.0f} s of its start; "
                    f"its log is {log_path()}"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, SLOWEST_POLL_SECONDS)

    async def stop(self) -> bool:
        """Stop the daemon, of whatever version; False when none runs. Raises DaemonError."""
        try:
            found = await self._knock()
        except DaemonRefused as refused:
            await self._terminate(refused.pid)
            return True
        if found is None:
            return False
        await self._ask_to_stop(found[0])
        return True

    async def _knock(self) -> tuple[Link, wire.Welcome] | None:
        """Connect, or give None when nobody is there."""
        try:
            return await Link.open(socket_path(self._settings), self._name)
        except (FileNotFoundError, ConnectionError, DaemonLost):
            return None
        except (OSError, SettingsError) as error:
            raise DaemonError(f"the daemon's socket cannot be used: {error}") from None

    async def _knock_for_ours(self) -> Link | None:
        """Connect to a daemon of our version; one of another version is gone afterwards."""
        try:
            found = await self._knock()
        except DaemonRefused as refused:
            self._check_replacing("another protocol")
            await self._terminate(refused.pid)
            return None
        if found is None:
            return None
        link, welcome = found
        if welcome.version == __version__:
            return link
        try:
            self._check_replacing(welcome.version)
        except DaemonError:
            link.close()
            raise
        await self._ask_to_stop(link)
        return None

    def _check_replacing(self, version: str) -> None:
        """Raise DaemonError when a daemon of `version` is not ours to replace."""
        installed = _installed_version()
        if installed != __version__:
            raise DaemonError(
                f"Umbrella was changed from {__version__} to {installed} while this program ran; "
                "restart the editor to use it"
            )
        if self._replaced:
            raise DaemonError(
                f"another program keeps starting the daemon of Umbrella {version} and this one "
                f"is {__version__}; install the same version for both, or restart the older editor"
            )
        self._replaced = True

    def _start(self) -> DaemonProcess:
        try:
            return DaemonProcess(self._settings)
        except (OSError, SettingsError) as error:
            raise DaemonError(f"the daemon cannot be started: {error}") from None

    async def _ask_to_stop(self, link: Link) -> None:
        try:
            await asyncio.wait_for(link.request(wire.Stop(1)), STOP_SECONDS)
            await asyncio.wait_for(link.lost, STOP_SECONDS)
        except DaemonLost:
            pass  # gone sooner than it could say so
        except TimeoutError:
            raise DaemonError(_stubborn(link.pid)) from None
        finally:
            link.close()

    async def _terminate(self, pid: int) -> None:
        """End a daemon whose frames we cannot write."""
        if pid <= 0:  # it lives in another pid namespace; kill(0) would end ourselves
            raise DaemonError(
                "a daemon of another version of Umbrella serves the socket from another "
                "container; end it there"
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            try:
                found = await self._knock()
            except DaemonRefused as refused:
                if refused.pid != pid:
                    return
            else:
                if found is not None:
                    found[0].close()
                return
            await asyncio.sleep(SLOWEST_POLL_SECONDS)
        raise DaemonError(_stubborn(pid))


def _installed_version() -> str:
    """Read the version that is installed now; an upgrade changes it below a running program."""
    try:
        return importlib.metadata.version("umbrella-lsp")
    except importlib.metadata.PackageNotFoundError:
        return __version__


def _stubborn(pid: int) -> str:
    return (
        f"the daemon (process {pid}) did not stop within {STOP_SECONDS:.0f} s; "
        f"end it with `kill -9 {pid}` and try again"
    )


def _ended(process: DaemonProcess) -> str:
    words = process.last_words() or "It said nothing."
    return (
        f"the daemon ended as it started (status {process.status}):\n{words}\n"
        f"Its log is {log_path()}."
    )
