"""Generations that share the engine: who has the next step. Plain bookkeeping, no lock, no thread.

The oldest ones are open, as many as there are lanes for, and take steps in turn; the others wait
for a lane in the order in which they came. Those that nobody wants any more go first, to be ended.
"""

from collections import deque
from collections.abc import Callable

from umbrella_daemon.resident.generation import Generation


class Turns:
    """A round of generations; `most` of them are open at a time."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self._open: deque[Generation] = deque()  # the next one first
        self._waiting: deque[Generation] = deque()

    def __len__(self) -> int:
        return len(self._open) + len(self._waiting)

    @property
    def waiting(self) -> int:
        """How many wait for a lane."""
        return len(self._waiting)

    def add(self, generation: Generation) -> None:
        """Let it wait for its first turn."""
        self._waiting.append(generation)

    def next(self) -> Generation:
        """Take the one whose turn it is out of the round; there must be one."""
        while self._waiting and len(self._open) < self.most:
            self._open.append(self._waiting.popleft())
        stopped = next((one for one in self._open if one.stopped), None)
        if stopped is None:
            return self._open.popleft()
        self._open.remove(stopped)
        return stopped

    def put_back(self, generation: Generation) -> None:
        """Let it wait for its next turn."""
        self._open.append(generation)

    def stop(self, unwanted: Callable[[Generation], bool]) -> list[Generation]:
        """Mark those that nobody wants any more; gives those that were never begun, taken out."""
        dropped = [one for one in self._waiting if unwanted(one)]
        self._waiting = deque(one for one in self._waiting if not unwanted(one))
        for one in self._open:
            one.stopped = one.stopped or unwanted(one)
        return dropped
