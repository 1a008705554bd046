"""A drafter whose time is written down in the trees that it proposes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from umbrella_engine.draft import Checkpoint, Draft, Drafter
from umbrella_engine.tree import Tree


@dataclass(frozen=True, slots=True)
class TimedDrafter:
    """`drafter`, known as `source`."""

    source: str
    drafter: Drafter

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft; see `Drafter`."""
        with self.drafter.begin(ids) as draft:
            yield TimedDraft(self.source, draft)


@dataclass(frozen=True, slots=True)
class TimedDraft:
    """A draft, its proposals timed."""

    source: str
    draft: Draft

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Propose and tell how long it took; see `Draft`."""
        start = time.perf_counter()
        tree = self.draft.propose(room, owed, checkpoint)
        tree.seconds[self.source] = time.perf_counter() - start
        return tree

    def accept(self, tokens: Sequence[int]) -> None:
        """Pass on what was settled."""
        self.draft.accept(tokens)
