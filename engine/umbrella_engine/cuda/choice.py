"""Which tree the next step verifies: the one with the most tokens for its time.

What a step of each shape costs is measured once at load; what it brings follows from how well the
draft model and copies did of late. Copies are judged in every step, verified or not, since the
device knows what it would have copied. Deterministic in what it was told.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping
from typing import NamedTuple

from umbrella_engine.config import DraftPreset
from umbrella_engine.cuda.shapes import FIXED, TreeShape
from umbrella_engine.shape.defaults import ACCEPTANCE

WEIGHT_OF_NEWS = 0.1  # of one drafted level, or one copy, in a running estimate
WEIGHT_OF_A_TOKEN = 0.05  # of one copied token behind the first
# how much of the rest the further candidates of a level catch: ranks 2 and 3-4 hold about .5 and .2
# of what rank 1 misses (Qwen2.5-Coder pair on code)
CAUGHT = {1: 0.0, 2: 0.5, 3: 0.63, 4: 0.7, 8: 0.8}
WAIT = 0.2  # plain steps that the device waits where drafting begins again
PROBE_EVERY = 32  # steps without a draft, after which drafting is tried again
# Copies by the tokens that matched when the step was chosen, which was one step early: none, 1, 3
# and 9 or more. How often the first copied token is right, and each one behind a right one.
MATCHED = (1, 3, 9)
FIRST = (0.25, 0.4, 0.6, 0.85)
BEHIND = (0.7, 0.75, 0.85, 0.92)


class Seen(NamedTuple):
    """What a step found out."""

    settled: int  # tokens
    drafted: int  # levels of the draft's tree that the target agreed with
    copied: int  # settled tokens that the copies foretold, whether they were in the tree or not
    match: int  # tokens before the new root that stood before as well; 0: nothing to copy


class Bet(NamedTuple):
    """A shape, and the kind of match that was known when it was chosen."""

    shape: TreeShape
    kind: int


class Choice:
    """Picks the shape for the next step."""

    def __init__(
        self,
        costs: Mapping[TreeShape, float],
        allowed: Collection[TreeShape],
        agreement: float = ACCEPTANCE[0],
        *,
        counts_copies: bool = True,
    ) -> None:
        """Take what a step of each shape costs, in any one unit, and what is allowed.

        `agreement`: how often the target agrees with the draft's favourite, before more is known.
        `counts_copies`: whether what copies promise has a say; they are verified in any case.
        """
        self._counts_copies = counts_copies
        self._costs = {shape: costs[shape] for shape in allowed}
        self._wait = WAIT * min(self._costs.values())
        self._usual = self._agreement = agreement
        self._first, self._behind = list(FIRST), list(BEHIND)
        self._kind = 0
        self._steps_without = 0

    def next(self) -> Bet:
        """Give the shape with the most tokens for its time, now and then one that drafts."""
        drafting = [shape for shape in self._costs if shape.depth]
        if drafting and self._steps_without >= PROBE_EVERY:
            best = max(drafting, key=lambda shape: self._rate(shape, self._usual))
        else:
            best = max(self._costs, key=lambda shape: self._rate(shape, self._agreement))
        return Bet(best, self._kind)

    def look(self, match: int) -> None:
        """Take note of how many tokens before the root stood before as well."""
        self._kind = bisect_right(MATCHED, match)

    def learn(self, bet: Bet, seen: Seen) -> None:
        """Take note of what a step with this bet found out."""
        self.look(seen.match)
        self._learn_copies(bet.kind, seen)
        shape = bet.shape
        if not shape.depth:
            self._steps_without += 1
            return
        self._steps_without = 0
        level = _level(self._agreement, shape.width)
        for agreed in [True] * seen.drafted + [False] * (seen.drafted < shape.depth):
            # a level that agreed may have done so by another candidate than its favourite
            news = self._agreement / level if agreed else 0.0
            self._agreement += WEIGHT_OF_NEWS * (news - self._agreement)

    def _learn_copies(self, kind: int, seen: Seen) -> None:
        self._first[kind] += WEIGHT_OF_NEWS * ((seen.copied > 0) - self._first[kind])
        if seen.copied:
            outcomes = [True] * (seen.copied - 1) + [False] * (seen.copied < seen.settled)
            for right in outcomes:
                self._behind[kind] += WEIGHT_OF_A_TOKEN * (right - self._behind[kind])

    def _rate(self, shape: TreeShape, agreement: float) -> float:
        waits = shape.depth > 0 and self._steps_without > 0
        first = self._first[self._kind] if self._counts_copies else 0.0
        tokens = expected_tokens(shape, agreement, first, self._behind[self._kind])
        return tokens / (self._costs[shape] + self._wait * waits)


def choice_for(
    preset: DraftPreset,
    costs: Mapping[TreeShape, float],
    shapes: Collection[TreeShape],
    agreement: float = ACCEPTANCE[0],
) -> Choice:
    """Give the choice of a preset among shapes at measured costs.

    `merged` takes the tree that the draft's record calls for and copies besides, so that it accepts
    no less than `dynamic`; weighing one against the other is for `adaptive`.
    """
    choice = Choice(costs, shapes, agreement, counts_copies=preset != "merged")
    return Choice(costs, [choice.next().shape], agreement) if preset in FIXED else choice


def expected_tokens(
    shape: TreeShape, agreement: float, first: float = 0.0, behind: float = 0.0
) -> float:
    """Give the mean number of tokens that a step settles, the target's own included.

    agreement: how often the draft's favourite is right. first, behind: how often the first copied
    token is, and each one behind a right one. Draft and copies count as independent.
    """
    level = _level(agreement, shape.width)
    longest = max(shape.copied, default=0)
    tokens = 1.0
    for place in range(1, shape.longest + 1):
        drafted = level**place if place <= shape.depth else 0.0
        copied = first * behind ** (place - 1) if place <= longest else 0.0
        tokens += 1.0 - (1.0 - drafted) * (1.0 - copied)
    return tokens


def _level(agreement: float, width: int) -> float:
    """Give the chance that the target's token is among a level's candidates."""
    return agreement + (1 - agreement) * CAUGHT[width]
