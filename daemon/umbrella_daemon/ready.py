"""A connection to a daemon whose model is loaded, with the way there shown.

For commands of a person at a terminal, who waits; editors do not.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console

from umbrella_daemon.client import SETTLED, DaemonClient, DaemonError
from umbrella_daemon.progress import ProgressDisplay
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Phase


@asynccontextmanager
async def ready_daemon(
    settings: Settings, name: str, console: Console
) -> AsyncIterator[DaemonClient]:
    """Connect, start the daemon where none runs, wait for the model; progress goes to `console`.

    Raises DaemonError, also when the model cannot be loaded.
    """
    with ProgressDisplay(console) as display:

        def show(phase: Phase) -> None:
            if phase.phase not in SETTLED:
                display.show(phase.message or f"The model is {phase.phase}.", phase.percent)

        client = await DaemonClient.connect(settings, name, on_phase=show)
        try:
            phase = await client.ready()
        except BaseException:
            await client.close()
            raise
    try:
        if phase.phase == "backend-down":
            raise DaemonError(phase.message)
        if phase.phase != "ready":
            raise DaemonError(f"The model could not be loaded: {phase.message}")
        yield client
    finally:
        await client.close()
