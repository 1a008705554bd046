"""Checks of the running daemon: socket, version, one timed completion."""

import stat
import time
from typing import Final

from umbrella_daemon import __version__
from umbrella_daemon.client import DaemonClient, DaemonError, stop_daemon
from umbrella_daemon.doctor.finding import Finding, fail, ok, warn
from umbrella_daemon.doctor.model import fetched
from umbrella_daemon.paths import log_path, socket_path
from umbrella_daemon.settings import LOCAL, Settings, SettingsError
from umbrella_daemon.wire import Completed, Status

NAME: Final = "umbrella doctor"
PREFIX: Final = '''"""Shapes."""


def area_of_rectangle(width: float, height: float) -> float:
    """Give the area."""
    return width * height


def area_of_square(side: float) -> float:
    """Give the area."""
    ret'''
TYPED: Final = "u"
SLOW_MS: Final = 2000


async def running(settings: Settings) -> Status | None:
    """Give the state of the daemon that runs, None where none does."""
    try:
        client = await DaemonClient.connect(settings, NAME, start=False)
    except DaemonError:
        return None
    try:
        return await client.status(0)
    finally:
        await client.close()


async def leave_as_found(settings: Settings) -> None:
    """Stop the daemon that the checks started, unless an editor has come to use it meanwhile."""
    status = await running(settings)
    if status is not None and all(one.startswith(NAME) for one in status.clients):
        await stop_daemon(settings)


async def socket(settings: Settings) -> Finding:
    """Whether the socket's place is ours alone."""
    try:
        path = socket_path(settings)
    except SettingsError as error:
        return fail(str(error), "Name another place with the setting daemon.socket.")
    mode = stat.S_IMODE(path.parent.stat().st_mode)
    found = f"{path}, directory mode {mode:04o}"
    if path.exists() and (own := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        return fail(f"{path} has mode {own:04o}", "Run `umbrella stop` and `umbrella start`.")
    if mode & 0o022:
        return warn(found, f"Others may write there: chmod go-w {path.parent}")
    return ok(found)


async def daemon(settings: Settings) -> Finding:
    """Whether one is running, and which."""
    status = await running(settings)
    if status is None:
        return ok("not running; editors start it by themselves")
    found = f"process {status.pid}, version {status.version}, {status.phase.phase}"
    if status.phase.phase == "backend-down":
        return warn(f"{found}: {status.phase.message}", "It asks again by itself.")
    if status.phase.phase == "failed":
        advice = f"Mend that, then `umbrella stop`; the log is {log_path()}."
        return fail(f"{found}: {status.phase.message}", advice)
    if status.version != __version__:
        return warn(f"{found}; this is {__version__}", "Run `umbrella stop`: the next is the same.")
    return ok(f"{found}, {status.pair}")


async def completion(settings: Settings) -> Finding:
    """Whether text comes, and how fast after one typed character."""
    if settings.backend.kind == LOCAL and not fetched(settings):
        return warn("not tried, because the weights are not here", "Try again once they are.")
    try:
        began = time.perf_counter()
        client = await DaemonClient.connect(settings, NAME)
        try:
            phase = await client.ready()
            if phase.phase != "ready":
                return fail(phase.message, f"Mend that; the log is {log_path()}.")
            return await _timed(client, settings, time.perf_counter() - began)
        finally:
            await client.close()
    except DaemonError as error:
        return fail(str(error), f"The log may tell more: {log_path()}")


async def _timed(client: DaemonClient, settings: Settings, ready_seconds: float) -> Finding:
    await _ask(client, settings, 1, PREFIX)
    began = time.perf_counter()
    answer = await _ask(client, settings, 2, PREFIX + TYPED)
    took = (time.perf_counter() - began) * 1e3
    if not answer.text:
        return fail(f"nothing came ({answer.reason}) {answer.detail}", f"See {log_path()}.")
    found = (
        f"{answer.text.splitlines()[0]!r} in {took:.0f} ms after a keystroke, of which "
        f"{answer.trace.prefilled_tokens} tokens were new; the daemon was ready after "
        f"{ready_seconds:.1f} s"
    )
    if took > SLOW_MS:
        return warn(found, "Another program may hold the processor; a smaller pair is faster.")
    return ok(found)


async def _ask(client: DaemonClient, settings: Settings, version: int, prefix: str) -> Completed:
    return await client.complete(
        document="umbrella:doctor",
        version=version,
        language="python",
        path="shapes.py",
        prefix=prefix,
        suffix="\n",
        explicit=True,
        max_tokens=min(16, settings.completion.max_tokens),
        max_lines=1,
    )
