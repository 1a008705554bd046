"""The text that a device searches for copies: one request's own, behind what it may repeat.

Own text comes last and ends with the latest token; before it, the nearer the likelier, what follows
the cursor, the latest prompts with their answers, and `References`. Knows ids only.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from umbrella_engine.draft.logical import logical_order
from umbrella_engine.draft.references import References
from umbrella_engine.interface import FimTokens
from umbrella_engine.prefix_cache import common_prefix

SEPARATOR = -1  # between texts; no token
KEPT_TEXTS = 8
MOST_TOKENS = 12288  # of everything that is searched


class Texts:
    """Keeps the latest texts."""

    def __init__(self, fim: FimTokens | None, references: References) -> None:
        self._fim = fim
        self._references = references
        self._kept: deque[list[int]] = deque(maxlen=KEPT_TEXTS)  # the latest last

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator["Text"]:
        """Open the text of one request; what it becomes is kept for later ones."""
        own, after = logical_order(ids, self._fim)
        known = [text.tokens for text in self._references]
        nearest = [after, *reversed(self._kept), *known]
        text = Text(nearest, own, len(ids))
        try:
            yield text
        finally:
            self._keep(text.own)

    def _keep(self, new: list[int]) -> None:
        """Hold a text instead of the versions of it that it continues."""
        for old in list(self._kept):
            if 2 * common_prefix(old, new) >= len(old):
                self._kept.remove(old)
        self._kept.append(new)


class Text:
    """One request's text."""

    def __init__(self, nearest: Sequence[Sequence[int]], own: list[int], n_ids: int) -> None:
        """Take the other texts, the nearest first, and the own one, of a prompt of `n_ids`."""
        self._nearest = nearest
        self._prompt = own
        self._n_ids = n_ids
        self.own = list(own)  # with what was settled

    def settle(self, tokens: Sequence[int]) -> None:
        """Add what the device has added by itself."""
        self.own += tokens

    def upto(self, tokens: Sequence[int]) -> list[int]:
        """Give what is to be searched, the prompt being `tokens` by now."""
        self.own = self._prompt + list(tokens[self._n_ids :])
        parts: list[Sequence[int]] = [self.own]
        left = MOST_TOKENS - len(self.own)
        for text in self._nearest:
            if left <= 0:
                break
            if text:
                parts.append([*text[:left], SEPARATOR])
                left -= len(text)
        return [token for part in reversed(parts) for token in part]
