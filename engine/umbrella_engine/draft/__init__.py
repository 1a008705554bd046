"""Drafters: objects that guess what the target will say, behind three verbs.

`Drafter.begin(ids)` opens a `Draft` for one request; `Draft.propose` gives a tree of guesses below
the last committed token; `Draft.accept` tells it which tokens the target settled. A wrong guess
costs time, never correctness.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from umbrella_engine.tree import Tree

Checkpoint = Callable[[], None]  # raises Cancelled when the request is not wanted any more


class Draft(Protocol):
    """The guesses for one request."""

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Guess up to `room` tokens ahead. `owed` bytes must come first (see `healing`).

        `checkpoint` is called before each forward pass of a draft model.
        """
        ...

    def accept(self, tokens: Sequence[int]) -> None:
        """Take note of the tokens that the target settled since the last proposal."""
        ...


class Drafter(Protocol):
    """A resident source of guesses."""

    def begin(self, ids: Sequence[int]) -> AbstractContextManager[Draft]:
        """Open a draft for the prompt `ids`."""
        ...
