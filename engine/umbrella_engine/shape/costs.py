"""What a step costs on this machine, as measured curves, and what that makes a guess worth.

A curve gives milliseconds of a forward pass over its rows. `Prices` turns it into tokens: time that
would have settled so many tokens otherwise. A draft pass or a node to verify pays when it promises
more than its price.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

MAX_ROWS = 512  # wider passes are priced as this one
USUAL_NODES = 15  # over which the price of one more node is averaged; 16 rows with the root


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds of one forward pass at some numbers of rows, ascending."""

    rows: tuple[int, ...]
    ms: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.rows or len(self.rows) != len(self.ms):
            raise ValueError("a curve needs as many times as row counts, at least one")
        if any(a >= b for a, b in pairwise(self.rows)) or self.rows[0] < 1 or min(self.ms) < 0:
            raise ValueError("row counts of a curve ascend from 1, and no time is negative")

    def at(self, rows: int) -> float:
        """Milliseconds at `rows`: straight between what was measured, flat below.

        Above it is as steep as at the end or on the whole, since a curve may end with a flat step.
        A wider pass never costs less, and what disturbs a measurement makes it longer: where a
        wider pass was faster, its time holds for the narrower one too.
        """
        return float(self.table(rows)[rows])

    def table(self, most: int) -> NDArray[np.float64]:
        """Milliseconds at 0 … `most` rows; no rows, no time."""
        rows, ms = list(self.rows), list(np.minimum.accumulate(self.ms[::-1])[::-1])
        if len(rows) > 1 and most > rows[-1]:
            slope = max((ms[-1] - ms[at]) / (rows[-1] - rows[at]) for at in (0, -2))
            ms.append(ms[-1] + slope * (most - rows[-1]))
            rows.append(most)
        table: NDArray[np.float64] = np.interp(np.arange(most + 1), rows, ms)
        table[0] = 0.0
        return table


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The curves of a pair, and what a step costs besides its forward passes."""

    target: Curve
    draft: Curve | None = None  # None: no draft model
    step_ms: float = 0.0

    def step(self, nodes: int, draft_rows: Sequence[int] = ()) -> float:
        """Milliseconds of a step: draft passes of so many rows, then a tree of `nodes` verified."""
        drafting = sum(self.draft.at(rows) for rows in draft_rows) if self.draft else 0.0
        return drafting + self.target.at(1 + nodes) + self.step_ms


class Prices:
    """Prices in tokens, for growth and merge to bargain with."""

    def __init__(self, costs: Costs, tokens_per_ms: float, first: float = 1.0) -> None:
        """Take what a pair costs, how fast it is on average, how often first choices are right."""
        self.first = first
        draft = costs.draft.table(MAX_ROWS) if costs.draft else np.zeros(MAX_ROWS + 1)
        self._reading = tokens_per_ms * draft
        self._verifying = tokens_per_ms * costs.target.table(MAX_ROWS)
        self._node = (self._verifying[1 + USUAL_NODES] - self._verifying[1]) / USUAL_NODES

    def reading(self, rows: int = 1) -> float:
        """Tokens that a draft pass of so many rows must promise."""
        return float(self._reading[min(rows, MAX_ROWS)])

    def outlook(self, first: float, depth: int) -> tuple[float, float]:
        """Tokens that a chain of the draft's first choices brings, and what its passes cost.

        `first` is how often a first choice is right. Passes end where they stop paying.
        """
        chance, tokens, passes = first, 0.0, 0
        while passes < depth and chance > self.reading():
            tokens, passes, chance = tokens + chance, passes + 1, chance * first
        return tokens, passes * self.reading()

    def worth_reading(self, chances: Sequence[float]) -> int:
        """How many of these candidates the next draft pass should read; 0: no pass pays.

        `chances` are cumulative probabilities, best first. A candidate promises its likeliest
        child, which will have to be verified.
        """
        promised = np.cumsum(self.first * np.asarray(chances) - self._node)
        gains = promised - self._reading[_counts(len(chances))]
        best = int(gains.argmax()) if len(gains) else 0
        return best + 1 if len(gains) and gains[best] > 0 else 0

    def worth_verifying(self, chances: Sequence[float]) -> int:
        """How many of these nodes, best first, the target should verify."""
        gains = np.concatenate(([0.0], np.cumsum(chances)))
        return int((gains - self._verifying[_counts(len(gains))]).argmax())


def _counts(most: int) -> NDArray[np.int64]:
    return np.minimum(np.arange(1, most + 1), MAX_ROWS)


FREE = Prices(Costs(Curve((1,), (0.0,))), 0.0)
