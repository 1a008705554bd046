"""An index over one text: where its latest tokens stood before, in constant time a token.

A hash chain, as in LZ77: each n-gram knows its latest place and each place the one before with the
same n-gram. Tokens are added at the end and cut off there, so a text that is typed into keeps its
index. Two sizes of n-gram are kept: the longer one finds long matches without looking at all places
of a common token. Knows ids only.
"""

from collections.abc import Sequence

from umbrella_engine.prefix_cache import common_prefix

LONG = 4  # tokens; matches of as many are looked for first
MAX_PLACES = 64  # latest places compared for one n-gram
MAX_MATCH = 32  # longer matches are no better guide
NONE = -1


class IndexedText:
    """Tokens and the places of their n-grams. A place is the index right after an n-gram."""

    __slots__ = ("_chains", "tokens")

    def __init__(self, n: int) -> None:
        self.tokens: list[int] = []
        self._chains = {size: Chain(size) for size in (n, max(n, LONG))}

    def extend(self, tokens: Sequence[int]) -> None:
        """Add tokens at the end."""
        start = len(self.tokens) + 1
        self.tokens.extend(tokens)
        for chain in self._chains.values():
            chain.add(self.tokens, start)

    def become(self, tokens: Sequence[int]) -> None:
        """Hold `tokens`; what both texts start with is not indexed again."""
        tokens = list(tokens)
        shared = common_prefix(self.tokens, tokens)
        for chain in self._chains.values():
            chain.cut(self.tokens, shared)
        del self.tokens[shared:]
        self.extend(tokens[shared:])

    def matches(self, recent: Sequence[int], least: int) -> list[tuple[int, int]]:
        """Give (length, place) of earlier text that ends like `recent`, the latest first.

        Only of `least` tokens or more, and of the size of the index's smaller n-gram or more.
        """
        size = max((one for one in self._chains if one <= least), default=min(self._chains))
        end = len(self.tokens)
        found = [
            (self._length(recent, place, size), place)
            for place in self._chains[size].places(recent)
            if place < end  # at the end itself nothing follows
        ]
        return found if size >= least else [one for one in found if one[0] >= least]

    def _length(self, recent: Sequence[int], place: int, length: int) -> int:
        """How many tokens before `place` equal the last of `recent`; `length` of them do."""
        tokens = self.tokens
        limit = min(MAX_MATCH, place, len(recent))
        while length < limit and tokens[place - 1 - length] == recent[-1 - length]:
            length += 1
        return length


class Chain:
    """The places of n-grams of one size in a text."""

    __slots__ = ("_before", "_latest", "_n")

    def __init__(self, n: int) -> None:
        self._n = n
        self._latest: dict[tuple[int, ...], int] = {}  # n-gram → its last place
        self._before: list[int] = []  # place - n → the place before with the same n-gram

    def add(self, text: Sequence[int], start: int) -> None:
        """Take in the places of `text` from `start` on."""
        n, latest, before = self._n, self._latest, self._before
        for place in range(max(n, start), len(text) + 1):
            key = tuple(text[place - n : place])
            before.append(latest.get(key, NONE))
            latest[key] = place

    def cut(self, text: Sequence[int], length: int) -> None:
        """Forget the places of `text` beyond `length`."""
        n = self._n
        for place in range(len(text), max(n, length + 1) - 1, -1):
            key = tuple(text[place - n : place])
            before = self._before.pop()
            if before == NONE:
                del self._latest[key]
            else:
                self._latest[key] = before

    def places(self, recent: Sequence[int]) -> list[int]:
        """Give the latest places of the n-gram that ends `recent`, the last one first."""
        place = self._latest.get(tuple(recent[-self._n :]), NONE)
        found: list[int] = []
        while place != NONE and len(found) < MAX_PLACES:
            found.append(place)
            place = self._before[place - self._n]
        return found
