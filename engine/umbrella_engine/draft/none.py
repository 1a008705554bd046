"""No drafting: plain greedy decoding, one token a step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.tree import Tree


class NoDrafter:
    """Proposes nothing."""

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft; see `Drafter`."""
        yield NoDraft()


class NoDraft:
    """The empty guess."""

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Give an empty tree."""
        return Tree()

    def accept(self, tokens: Sequence[int]) -> None:
        """Nothing to learn."""
