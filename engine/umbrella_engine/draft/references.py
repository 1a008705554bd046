"""Texts that may be repeated: open documents, earlier answers, whatever the engine's owner knows.

Bounded in tokens; the text remembered longest ago goes first. Knows names and ids only.
"""

import threading
from collections.abc import Iterator, Sequence

from umbrella_engine.draft.repetition import IndexedText

MAX_TOKENS = 100_000  # of all texts together; about 20 MB with their index


class References:
    """Named texts, each with its index of n-grams; may be told of texts in any thread.

    A text is indexed before anybody sees it and never changed afterwards.
    """

    def __init__(self, n: int = 2, max_tokens: int = MAX_TOKENS) -> None:
        self._n = n
        self._max_tokens = max_tokens
        self._texts: dict[str, IndexedText] = {}  # the one remembered last comes last
        self._changing = threading.Lock()

    def remember(self, name: str, ids: Sequence[int]) -> None:
        """Hold `ids` instead of the text known as `name`; only the start of one too long."""
        text = IndexedText(self._n)
        text.extend(ids[: self._max_tokens])
        with self._changing:
            texts = {known: one for known, one in self._texts.items() if known != name}
            if text.tokens:
                texts[name] = text
            spare = self._max_tokens - sum(len(one.tokens) for one in texts.values())
            while spare < 0:
                spare += len(texts.pop(next(iter(texts))).tokens)
            self._texts = texts

    def __iter__(self) -> Iterator[IndexedText]:
        """Give the texts, the one remembered last first."""
        return reversed(self._texts.values())
