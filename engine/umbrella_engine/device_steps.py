"""Steps that a device takes by itself, seen from the loop: begin, then settle tokens until stopped.

What implements it (`cuda.device_loop`) speculates on the device, with the draft model and with
copies of earlier text; the loop keeps what needs the host: the prompt, owed bytes, sampling.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from umbrella_engine.language_model import Context


@dataclass(frozen=True, slots=True)
class Settled:
    """What one step settled, and the tree that the target judged."""

    tokens: list[int]
    log_probs: list[float]  # natural logarithms, one a token
    offered: Mapping[str, Sequence[int]]  # nodes by source and by position behind the root
    kept: Sequence[str]  # the source of each token that was in the tree


class DeviceRun(Protocol):
    """The device's steps for one request."""

    def steps(
        self, context: Context, root: int, room: int, checkpoint: Callable[[], None]
    ) -> Iterator[Settled]:
        """Settle tokens from `root` on, which the context has not read; at most `room`.

        The context commits what was settled before each item is given. Who stops early loses
        nothing that was given.
        """
        ...


class DeviceSteps(Protocol):
    """What a resident pair can do without the host."""

    def begin(self, ids: Sequence[int]) -> AbstractContextManager[DeviceRun | None]:
        """Prepare for the prompt `ids`; None where every step is the host's."""
        ...


class HostSteps:
    """Every step is the host's."""

    def begin(self, ids: Sequence[int]) -> AbstractContextManager[DeviceRun | None]:
        """Prepare nothing."""
        return nullcontext(None)
