"""`umbrella start`, `stop`, `status`, `logs`: the resident daemon."""

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from umbrella_daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from umbrella_daemon.settings import Settings
    from umbrella_daemon.wire import Status

FOLLOW_SECONDS: Final = 0.2  # between looks at a log that is followed
NAME: Final = "umbrella"


@click.command()
@click.option("--pair", metavar="NAME", help="Which pair to load; see `umbrella models`.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the daemon answers.")
@click.pass_obj
def start(invocation: Invocation, pair: str | None, no_wait: bool) -> None:
    """Start the daemon and wait until the model is loaded.

    Editors start it by themselves; this fetches and loads the model ahead of them.
    """
    settings = invocation.settings({"pair": pair} if pair else None)
    click.echo(asyncio.run(_start(settings, pair, no_wait)))


async def _start(settings: "Settings", pair: str | None, no_wait: bool) -> str:
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.client import DaemonClient, DaemonError
    from umbrella_daemon.ready import ready_daemon

    running = await _running(settings)
    if running is not None and pair is not None and not _serves(running, pair):
        raise DaemonError(
            f"A daemon with another pair is running ({running.pair}). Nothing was changed; to "
            f"load {pair}, `umbrella stop` it first."
        )
    if no_wait:
        client = await DaemonClient.connect(settings, NAME)
        await client.close()
        return "The daemon is running; `umbrella status` shows how far it is."
    began = time.monotonic()
    async with ready_daemon(settings, NAME, console(stderr=True)) as client:
        status = await client.status(0)
    took = "was running" if running else f"is ready after {time.monotonic() - began:.1f} s"
    return f"The daemon {took}: {status.pair} on {status.device} ({status.dtype})."


async def _running(settings: "Settings") -> "Status | None":
    from umbrella_daemon.client import DaemonClient, DaemonError

    try:
        client = await DaemonClient.connect(settings, NAME, start=False)
    except DaemonError:
        return None
    try:
        return await client.status(0)
    finally:
        await client.close()


def _serves(status: "Status", pair: str) -> bool:
    return pair == "auto" or not status.pair or status.pair.split(":")[0] == Path(pair).stem


@click.command()
@click.pass_obj
def stop(invocation: Invocation) -> None:
    """Stop the daemon once it has answered what is open. Editors start it again when they ask."""
    from umbrella_daemon.client import stop_daemon

    stopped = asyncio.run(stop_daemon(invocation.settings()))
    click.echo("The daemon has stopped." if stopped else "No daemon was running.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--traces", default=5, show_default=True, metavar="N", help="How many latest requests to show."
)
@click.pass_obj
def status(invocation: Invocation, as_json: bool, traces: int) -> None:
    """Show what the daemon is doing and what its latest requests cost."""
    import msgspec

    from umbrella_daemon.cli.output import console
    from umbrella_daemon.client import DaemonError
    from umbrella_daemon.paths import recordings_directory
    from umbrella_daemon.recordings import under_way
    from umbrella_daemon.status_page import page

    recorded = under_way(recordings_directory())
    recordings = {"recordings": [str(path) for path in recorded]}
    try:
        found = asyncio.run(_status(invocation.settings(), max(0, traces)))
    except DaemonError as error:
        if not as_json:
            for path in recorded:  # windows record whether a daemon runs or not
                click.echo(f"recording  typing, into {path}")
            raise
        click.echo(json.dumps({"running": False, "message": str(error)} | recordings))
        raise SystemExit(1) from None
    if as_json:
        fields = {key: value for key, value in msgspec.to_builtins(found).items() if key != "t"}
        click.echo(json.dumps({"running": True} | fields | recordings, indent=2))
    else:
        console().print(page(found, recorded))


async def _status(settings: "Settings", traces: int) -> "Status":
    from umbrella_daemon.client import DaemonClient

    client = await DaemonClient.connect(settings, NAME, start=False)
    try:
        return await client.status(traces)
    finally:
        await client.close()


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is added.")
@click.option(
    "-n",
    "--lines",
    default=50,
    show_default=True,
    metavar="N",
    help="How many lines at first.",
)
def logs(follow: bool, lines: int) -> None:
    """Print the end of the daemon's log."""
    from umbrella_daemon.paths import log_path

    path = log_path()
    if not path.exists() and not follow:
        raise click.ClickException(f"There is no log yet: no daemon has run ({path}).")
    path.touch(exist_ok=True)
    for text in _tail(path, max(0, lines), follow):
        click.echo(text, nl=False)


def _tail(path: Path, lines: int, follow: bool) -> Iterator[str]:
    """Give the last lines of the log, then what is added, from each new file after a rotation."""
    log = path.open(encoding="utf-8", errors="replace")
    try:
        yield "".join(deque(log, maxlen=lines))
        while follow:
            if text := log.read():
                yield text
                continue
            time.sleep(FOLLOW_SECONDS)
            if path.exists() and not os.path.samestat(path.stat(), os.fstat(log.fileno())):
                log.close()
                log = path.open(encoding="utf-8", errors="replace")
    finally:
        log.close()


COMMANDS = (start, stop, status, logs)
