"""The best static tree for a budget of nodes: Sequoia's dynamic programme (arXiv 2402.12374).

Given how often the draft's child of each rank is right, `Programme` knows for every budget and
depth how many tokens the best tree settles on average, and what that tree looks like. One table a
depth, each a max-plus convolution over ranks: O(budget² · depth · branches), in numpy.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from umbrella_engine.shape import Shape, from_paths


class Programme:
    """Best trees of up to `budget` nodes (the root not counted) and `depth` levels."""

    def __init__(self, acceptance: Sequence[float], budget: int, depth: int) -> None:
        rates = np.asarray(acceptance, dtype=np.float64)
        if budget < 0 or depth < 0 or rates.size == 0:
            raise ValueError("a budget and a depth of at least 0 and one rank are needed")
        if rates.min() < 0 or rates.sum() > 1 + 1e-9:
            raise ValueError("acceptance by rank is a part of 1, none below 0")
        sizes = np.arange(budget + 1)
        rest = sizes[:, None] - sizes[None, :]  # what a split leaves to later ranks
        possible = rest >= 0
        # tokens below one right node, itself included: [levels below it, nodes below it]
        self._tokens = np.ones((depth + 1, budget + 1))
        # nodes given to each rank's child and all below it: [level, rank, nodes to give away]
        self._splits = np.zeros((depth + 1, rates.size, budget + 1), dtype=np.int64)
        for level in range(1, depth + 1):
            later: NDArray[np.float64] = np.zeros(budget + 1)
            for rank in range(rates.size - 1, -1, -1):
                own = np.zeros(budget + 1)
                own[1:] = rates[rank] * self._tokens[level - 1, :-1]
                both = np.where(possible, own[None, :] + later[rest], -np.inf)
                self._splits[level, rank] = both.argmax(axis=1)
                later = both.max(axis=1)
            self._tokens[level] += later

    def tokens(self, budget: int, depth: int) -> float:
        """Tokens the best tree of these limits settles a step, the bonus token included."""
        return float(self._tokens[depth, budget])

    def shape(self, budget: int, depth: int) -> Shape:
        """Give the best tree of these limits; smaller where more nodes would not help."""
        paths: list[tuple[int, ...]] = []
        todo: list[tuple[tuple[int, ...], int, int]] = [((), depth, budget)]
        while todo:
            path, level, left = todo.pop()
            for rank in range(self._splits.shape[1]):
                given = int(self._splits[level, rank, left])
                left -= given
                if given:
                    paths.append((*path, rank))
                    todo.append(((*path, rank), level - 1, given - 1))
        return from_paths(paths)
