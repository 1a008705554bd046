"""How a draft model's tree grows: which guesses are read next, and which are offered.

A draft pass reads some guesses and gives candidates below each. `Growth.sprout` opens the growth of
one tree, `Sprout.take` gets the candidates of the latest pass and says which to read next, `kept`
gives what is offered. Knows probabilities, no model and no tokens' meaning.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from umbrella_engine.shape import Shape
from umbrella_engine.shape.costs import Prices
from umbrella_engine.tree import ROOT

BRANCHES = 8  # candidates below a node; on code under 1 % is right beyond the eighth


class Candidate:
    """A token that could become a node."""

    __slots__ = ("chance", "debt", "depth", "node", "parent", "probability", "token")

    def __init__(
        self, token: int, probability: float, parent: "Candidate | None", debt: bytes = b""
    ) -> None:
        """Place a candidate below `parent` (None: the root); `probability` is given its parent."""
        self.token = token
        self.probability = probability
        self.parent = parent
        self.debt = debt  # owed after this token
        self.depth: int = 1 + (parent.depth if parent else 0)
        self.chance: float = probability * (parent.chance if parent else 1.0)
        self.node = ROOT  # in the tree of what the draft model has read, once it is there


class Sprout(Protocol):
    """One tree that grows."""

    def take(self, children: Sequence[Sequence[Candidate]]) -> list[Candidate]:
        """Take the candidates below each guess of the latest pass; give the guesses to read next.

        The first call gets those below the root. An empty answer ends the growth.
        """
        ...

    def kept(self) -> list[Candidate]:
        """Give what is offered, parents before children."""
        ...


class Growth(Protocol):
    """A way to grow."""

    @property
    def branches(self) -> int:
        """How many candidates it wants below a node."""
        ...

    def sprout(self, room: int) -> Sprout:
        """Begin a tree of at most `room` levels."""
        ...


class StaticGrowth:
    """Always the same shape, by rank: a chain, or what the dynamic programme found (Sequoia)."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.branches = 1 + max(shape.ranks, default=0)

    def sprout(self, room: int) -> Sprout:
        """Begin a tree; see `Growth`."""
        return StaticSprout(self._shape, room)


class StaticSprout:
    """A shape being filled in."""

    def __init__(self, shape: Shape, room: int) -> None:
        self._shape = shape
        self._levels = iter(shape.levels[:room])
        self._inner = set(shape.parents)
        self._room = room
        self._filled: dict[int, Candidate] = {}  # by node of the shape
        self._read = [-1]  # nodes of the shape whose candidates come next

    def take(self, children: Sequence[Sequence[Candidate]]) -> list[Candidate]:
        """Fill in one level; see `Sprout`."""
        below = dict(zip(self._read, children, strict=True))
        level = next(self._levels, ())
        for node in level:
            ranked = below.get(self._shape.parents[node], ())
            if self._shape.ranks[node] < len(ranked):
                self._filled[node] = ranked[self._shape.ranks[node]]
        self._read = [node for node in level if node in self._filled and node in self._inner]
        read = [self._filled[node] for node in self._read]
        return read if read and read[0].depth < self._room else []

    def kept(self) -> list[Candidate]:
        """Give the filled nodes; see `Sprout`."""
        return [self._filled[node] for node in sorted(self._filled)]


@dataclass(frozen=True, slots=True)
class DynamicGrowth:
    """Best first by cumulative probability, a batch a pass (SpecExec, arXiv 2406.02532).

    Ends when no further pass is worth its price, or could change the best `budget` nodes.
    """

    depth: int  # draft passes at most, the one below the root included
    width: int  # guesses read by a pass at most
    budget: int  # nodes offered at most
    prices: Prices
    branches: int = BRANCHES

    def sprout(self, room: int) -> Sprout:
        """Begin a tree; see `Growth`."""
        return DynamicSprout(self, room)


class DynamicSprout:
    """A tree that grows where it is likeliest."""

    def __init__(self, growth: DynamicGrowth, room: int) -> None:
        self._growth = growth
        self._room = room
        self._passes_left = min(growth.depth, room) - 1
        self._known: list[Candidate] = []  # the best so far, best first
        self._unread: list[Candidate] = []  # those of them that could have candidates below

    def take(self, children: Sequence[Sequence[Candidate]]) -> list[Candidate]:
        """Let the candidates compete; see `Sprout`."""
        new = [one for below in children for one in below]
        # stable: among equally likely ones parents stay before their children
        self._known = sorted(self._known + new, key=_best_first)[: self._growth.budget]
        if self._passes_left <= 0:
            return []
        self._passes_left -= 1
        waiting = {id(one) for one in self._unread + new if one.depth < self._room}
        self._unread = [one for one in self._known if id(one) in waiting]
        batch = self._unread[: self._growth.width]
        count = self._growth.prices.worth_reading([one.chance for one in batch])
        self._unread = self._unread[count:]
        return batch[:count]

    def kept(self) -> list[Candidate]:
        """Give the best nodes; a child is never likelier than its parent. See `Sprout`."""
        return self._known


def _best_first(one: Candidate) -> float:
    return -one.chance
