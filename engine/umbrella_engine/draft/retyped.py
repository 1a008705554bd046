"""Guesses that text taken back by token healing is spelled again the usual way.

Without it, an indentation of two tokens would cost a target step for each of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.interface import Tokenizer
from umbrella_engine.tree import Tree, chain


class RetypedDrafter:
    """Proposes the tokenizer's own encoding of the owed text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft; see `Drafter`."""
        yield RetypedDraft(self._tokenizer)


class RetypedDraft:
    """The guess for one request; keeps nothing."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Give a chain that spells what is owed; empty when nothing is."""
        text = owed.decode("utf-8", errors="ignore")
        return chain(self._tokenizer.encode(text)[:room], source="retyped")

    def accept(self, tokens: Sequence[int]) -> None:
        """Nothing to learn."""
