"""Shapes of trees drafted by rank, as plain data: no tokens, no models, no torch.

A node of a shape says "the child of rank r below that node": rank 0 is the draft's likeliest token.
The chain of first choices comes first in node order, so that accepting all of it moves no keys and
values; the rest follows level by level. Parents come before children, -1 is the root.
"""

from collections.abc import Iterable, Sequence

import msgspec


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A static tree; the root, the last committed token, is not a node of it."""

    parents: tuple[int, ...] = ()
    ranks: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def depths(self) -> tuple[int, ...]:
        """Depth of each node; children of the root have depth 1."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(1 if parent < 0 else depths[parent] + 1)
        return tuple(depths)

    @property
    def depth(self) -> int:
        """Number of levels: what growing it costs a draft model in forward passes."""
        return max(self.depths, default=0)

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Nodes of each level, in node order; the first level hangs below the root."""
        levels: list[list[int]] = [[] for _ in range(self.depth)]
        for node, depth in enumerate(self.depths):
            levels[depth - 1].append(node)
        return tuple(map(tuple, levels))

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of each draft pass that grows it: the root, then a level's nodes with children."""
        if not self.parents:
            return ()
        inner = set(self.parents)
        return (1, *(sum(node in inner for node in level) for level in self.levels[:-1]))


def from_paths(paths: Iterable[Sequence[int]]) -> Shape:
    """Build the shape whose nodes are these paths of ranks from the root down.

    Raises KeyError where a path's beginning is missing.
    """
    ordered = sorted({tuple(path) for path in paths}, key=lambda p: (any(p), len(p), p))
    place = {path: node for node, path in enumerate(ordered)} | {(): -1}
    return Shape(tuple(place[path[:-1]] for path in ordered), tuple(path[-1] for path in ordered))


def chain(depth: int) -> Shape:
    """Give the tree without branches."""
    return Shape(tuple(range(-1, depth - 1)), (0,) * depth)


def beam(acceptance: Sequence[float], width: int, depth: int) -> Shape:
    """Give the tree of the `width` likeliest nodes on each level, as far as ranks tell."""
    kept: list[tuple[int, ...]] = []
    level: list[tuple[float, tuple[int, ...]]] = [(1.0, ())]
    for _ in range(depth):
        children = [
            (chance * rate, (*path, rank))
            for chance, path in level
            for rank, rate in enumerate(acceptance)
        ]
        level = sorted(children, key=lambda child: (-child[0], child[1]))[:width]
        kept += [path for _, path in level]
    return from_paths(kept)


def expected_tokens(shape: Shape, acceptance: Sequence[float]) -> float:
    """Tokens that a target step settles on average, the bonus token included.

    `acceptance[r]` is the chance that the child of rank r is right once its parent is, the same
    everywhere in the tree; ranks beyond it are never right.
    """
    chances: list[float] = []
    for parent, rank in zip(shape.parents, shape.ranks, strict=True):
        rate = acceptance[rank] if rank < len(acceptance) else 0.0
        chances.append(rate * (1.0 if parent < 0 else chances[parent]))
    return 1.0 + sum(chances)
