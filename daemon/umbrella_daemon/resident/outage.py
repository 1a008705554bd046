"""When a backend that is down is asked again: soon at first, then ever more rarely.

Belongs to the thread of the event loop. Knows neither backend nor engine.
"""

import asyncio
from collections.abc import Callable
from typing import Final

FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 4.0


class Outage:
    """Calls `retry` after each failure until there is none."""

    def __init__(self, retry: Callable[[], None]) -> None:
        self._retry = retry
        self._pause = FIRST_PAUSE_SECONDS
        self._timer: asyncio.TimerHandle | None = None

    def fail(self) -> None:
        """Note that it is down, and ask again later; once, however often this is said."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._again)
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def end(self) -> None:
        """Note that all is well again."""
        self._pause = FIRST_PAUSE_SECONDS
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._timer = None
        self._retry()
