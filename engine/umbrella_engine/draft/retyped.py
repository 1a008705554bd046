"""Guesses that text taken back by token healing is spelled again the usual way.

Without it, an indentation of two tokens would cost a target step for each of them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.interface import Tokenizer
from umbrella_engine.tree import Tree, chain

SOURCE = "retyped"

# How likely the usual spelling goes on unchanged: a word may become a longer one that is one token.
INDENTED = 0.95
WORD = 0.5


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
        began = time.perf_counter()
        text = owed.decode("utf-8", errors="ignore")
        likely = INDENTED if text.isspace() else WORD
        tree = chain(self._tokenizer.encode(text)[:room], SOURCE, likely)
        tree.seconds[SOURCE] = time.perf_counter() - began
        return tree

    def accept(self, tokens: Sequence[int]) -> None:
        """Nothing to learn."""
