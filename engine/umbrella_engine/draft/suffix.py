"""Guesses by repetition: what followed the longest earlier match of the latest tokens.

The idea of prompt lookup and suffix decoding (arXiv 2411.04975), over the prompt and the text
generated so far. An index of n-grams gives candidate places in constant time a token; the longest
backward match wins, then the latest; several different continuations become branches.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from umbrella_engine.config import DraftConfig
from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.tree import Tree

MAX_PLACES = 64  # latest places compared for one n-gram
MAX_MATCH = 32  # longer matches are no better guide


class SuffixDrafter:
    """Opens an index for each request."""

    def __init__(self, config: DraftConfig) -> None:
        self._config = config

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft; see `Drafter`."""
        draft = SuffixDraft(self._config)
        draft.accept(ids)
        yield draft


class SuffixDraft:
    """The index over one request's tokens."""

    def __init__(self, config: DraftConfig) -> None:
        self._config = config
        self._tokens: list[int] = []
        # n-gram → positions right after its occurrences, latest last
        self._places: dict[tuple[int, ...], deque[int]] = defaultdict(
            lambda: deque(maxlen=MAX_PLACES)
        )

    def accept(self, tokens: Sequence[int]) -> None:
        """Append settled tokens to the index."""
        n = self._config.suffix_min_match
        for token in tokens:
            self._tokens.append(token)
            end = len(self._tokens)
            if end >= n:
                self._places[tuple(self._tokens[end - n :])].append(end)

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Give the continuations of the longest matches, best first."""
        config, tokens = self._config, self._tokens
        tree = Tree()
        end = len(tokens)
        places = self._places.get(tuple(tokens[max(0, end - config.suffix_min_match) :]), ())
        ranked = sorted(
            ((self._match_length(place), place) for place in places if place < end), reverse=True
        )
        length = min(config.suffix_tokens, room)
        branches: set[int] = set()
        for _, place in ranked:
            if len(branches) == config.suffix_branches:
                break
            if tokens[place] not in branches:
                branches.add(tokens[place])
                tree.add_chain(tokens[place : place + length], source="suffix")
        return tree

    def _match_length(self, place: int) -> int:
        """How many tokens before `place` equal the latest ones."""
        tokens = self._tokens
        length = 0
        while length < min(MAX_MATCH, place) and tokens[place - 1 - length] == tokens[-1 - length]:
            length += 1
        return length
