"""An index over one text: where its latest tokens stood before, in constant time a token.

A hash chain, as in LZ77: each n-gram knows its latest place and each place the one before with the
same n-gram. Tokens are added at the end and cut off there, so a text that is typed into keeps its
index. Knows ids only.
"""

from collections.abc import Sequence

from umbrella_engine.prefix_cache import common_prefix

MAX_PLACES = 64  # latest places compared for one n-gram
MAX_MATCH = 32  # longer matches are no better guide
NONE = -1


class IndexedText:
    """Tokens and the places of their n-grams. A place is the index right after an n-gram."""

    __slots__ = ("_before", "_latest", "_n", "tokens")

    def __init__(self, n: int) -> None:
        self.tokens: list[int] = []
        self._n = n
        self._latest: dict[tuple[int, ...], int] = {}  # n-gram → its last place
        self._before: list[int] = []  # place - n → the place before with the same n-gram

    def extend(self, tokens: Sequence[int]) -> None:
        """Add tokens at the end."""
        n, text, latest, before = self._n, self.tokens, self._latest, self._before
        start = max(n, len(text) + 1)
        text.extend(tokens)
        for place in range(start, len(text) + 1):
            key = tuple(text[place - n : place])
            before.append(latest.get(key, NONE))
            latest[key] = place

    def become(self, tokens: Sequence[int]) -> None:
        """Hold `tokens`; what both texts start with is not indexed again."""
        tokens = list(tokens)
        shared = common_prefix(self.tokens, tokens)
        self._cut(shared)
        self.extend(tokens[shared:])

    def matches(self, recent: Sequence[int]) -> list[tuple[int, int]]:
        """Give (length, place) of earlier text that ends like `recent`, the latest first."""
        n, end = self._n, len(self.tokens)
        place = self._latest.get(tuple(recent[-n:]), NONE)
        found: list[tuple[int, int]] = []
        while place != NONE and len(found) < MAX_PLACES:
            if place < end:  # at the end itself nothing follows
                found.append((self._length(recent, place), place))
            place = self._before[place - n]
        return found

    def _length(self, recent: Sequence[int], place: int) -> int:
        """How many tokens before `place` equal the last of `recent`."""
        tokens, length = self.tokens, self._n
        limit = min(MAX_MATCH, place, len(recent))
        while length < limit and tokens[place - 1 - length] == recent[-1 - length]:
            length += 1
        return length

    def _cut(self, length: int) -> None:
        """Forget all tokens from `length` on."""
        n, tokens = self._n, self.tokens
        for place in range(len(tokens), max(n, length + 1) - 1, -1):
            key = tuple(tokens[place - n : place])
            before = self._before.pop()
            if before == NONE:
                del self._latest[key]
            else:
                self._latest[key] = before
        del tokens[length:]
