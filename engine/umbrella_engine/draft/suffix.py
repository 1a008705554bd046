"""Guesses by repetition: what followed the longest earlier match of the latest tokens.

The idea of prompt lookup and suffix decoding (arXiv 2411.04975), over the text before the cursor in
the order of the document, the text after it, what was written lately elsewhere and `References`.
The longest backward match wins, then the latest; several different continuations become branches.
How likely a copied token is follows from how much text matched before it.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from umbrella_engine.config import DraftConfig
from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.draft.logical import logical_order
from umbrella_engine.draft.references import References
from umbrella_engine.draft.repetition import LONG, MAX_MATCH, IndexedText
from umbrella_engine.healing import Healing
from umbrella_engine.interface import FimTokens
from umbrella_engine.prefix_cache import common_prefix
from umbrella_engine.tree import ROOT, Tree

SOURCE = "suffix"
ENOUGH = 256  # matches to choose from; texts that are further away are left out then
KEPT_PROMPTS = 8  # texts before the cursor, and as many after it, whose indexes stay

# How often the token that followed a match was right, by tokens that matched: 64 tokens of each of
# 40 files of public packages, Qwen2.5-Coder 1.5B as the judge.
_FROM_LENGTH = (1, 2, 3, 5, 9)
_PRECISION = (0.36, 0.45, 0.57, 0.78, 0.90)


def precision(length: int) -> float:
    """How likely the next token of a match of `length` (1 or more) tokens is right."""
    return _PRECISION[bisect_right(_FROM_LENGTH, length) - 1]


class SuffixDrafter:
    """Keeps the indexes of the latest prompts, so that typing adds to them."""

    def __init__(
        self,
        config: DraftConfig,
        healing: Healing | None = None,
        fim: FimTokens | None = None,
        references: References | None = None,
    ) -> None:
        self._config = config
        self._healing = healing
        self._fim = fim
        self._references = references or References(config.suffix_min_match)
        self._before: deque[IndexedText] = deque(maxlen=KEPT_PROMPTS)  # the latest last
        self._after: deque[IndexedText] = deque(maxlen=KEPT_PROMPTS)

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft on the index that agrees most with `ids`; see `Drafter`."""
        before, after = (
            _taken(kept, part, self._config.suffix_min_match)
            for kept, part in zip(
                (self._before, self._after), logical_order(ids, self._fim), strict=True
            )
        )
        try:
            others = [after, *reversed(self._before), *reversed(self._after), *self._references]
            yield SuffixDraft(before, others, self._config, self._healing)
        finally:
            self._before.append(before)
            self._after.append(after)


class SuffixDraft:
    """The guesses for one request."""

    def __init__(
        self,
        text: IndexedText,
        others: Sequence[IndexedText],
        config: DraftConfig,
        healing: Healing | None,
    ) -> None:
        self._text = text
        self._others = others
        self._config = config
        self._healing = healing

    def accept(self, tokens: Sequence[int]) -> None:
        """Append settled tokens to the index."""
        self._text.extend(tokens)

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Give the continuations of the longest matches, best first; see `Draft`."""
        began = time.perf_counter()
        tree = Tree()
        reach = min(self._config.suffix_tokens, room)
        branches = 0
        for length, continuation in self._continuations(reach):
            if branches == self._config.suffix_branches:
                break
            if self._fits(continuation, owed):
                branches += _grow(tree, continuation, length)
        tree.seconds[SOURCE] = time.perf_counter() - began
        return tree

    def _continuations(self, reach: int) -> Iterator[tuple[int, list[int]]]:
        """Give (length of the match, what followed it), the longest match first, then the latest.

        Sorting is stable and each text gives its latest places first.
        """
        recent = self._text.tokens[-MAX_MATCH:] if reach > 0 else []
        least = self._config.suffix_min_match
        for shortest, longest in ((max(LONG, least), MAX_MATCH), (least, LONG - 1)):
            found: list[tuple[int, IndexedText, int]] = []
            for text in (self._text, *self._others):
                matches = text.matches(recent, shortest)
                found += [(length, text, place) for length, place in matches if length <= longest]
                if len(found) >= ENOUGH:
                    break
            found.sort(key=lambda match: -match[0])
            for length, text, place in found:
                yield length, text.tokens[place : place + reach]

    def _fits(self, continuation: Sequence[int], owed: bytes) -> bool:
        """Whether the tokens begin with what is owed."""
        debt: bytes | None = owed if self._healing is not None else b""
        for token in continuation:
            if not debt:
                break
            debt = self._healing.after(debt, token) if self._healing is not None else b""
        return debt is not None


def _grow(tree: Tree, continuation: Sequence[int], length: int) -> bool:
    """Add a branch; whether anything in it is new. Siblings share what the first leaves over."""
    size, node = len(tree), ROOT
    for offset, token in enumerate(continuation):
        below = tree.child(node, token)
        if below is None:
            left = 1.0 - sum(
                tree.probabilities[other]
                for other, parent in enumerate(tree.parents)
                if parent == node
            )
            chance = precision(length + offset) * left
            below = tree.add(token, node, SOURCE, chance)
        node = below
    return len(tree) > size


def _taken(kept: deque[IndexedText], ids: Sequence[int], n: int) -> IndexedText:
    """Take the text that agrees most with `ids` out of `kept`, and make it hold them.

    A text that agrees with less than half of its own tokens stays, as a reference for others.
    """
    best = max(kept, key=lambda text: common_prefix(text.tokens, ids), default=None)
    if best is None or 2 * common_prefix(best.tokens, ids) < len(best.tokens):
        best = IndexedText(n)
    else:
        kept.remove(best)
    best.become(ids)
    return best
