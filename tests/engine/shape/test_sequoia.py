"""The dynamic programme against published figures, brute force and the clock."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbrella_engine.shape import beam, chain, expected_tokens, from_paths
from umbrella_engine.shape.sequoia import Programme

WIDE, NARROW = (0.65, 0.20, 0.10, 0.05), (0.80, 0.10, 0.04, 0.02)

# Expected tokens a step recomputed from Sequoia's tree search for two acceptance vectors: ranks,
# width and depth of a level beam (width · depth nodes), tokens of that beam, of the best tree with
# as many nodes and levels, of the chain as deep, of the best tree with as many nodes.
PUBLISHED = [
    (WIDE, 3, 4, 3.364, 3.404, 2.526, 3.455),
    (WIDE, 4, 6, 3.987, 4.097, 2.717, 4.106),
    (WIDE, 4, 8, 4.143, 4.390, 2.798, 4.390),
    (NARROW, 3, 4, 3.892, 3.916, 3.362, 4.756),
    (NARROW, 4, 6, 4.870, 4.919, 3.951, 5.481),
    (NARROW, 4, 8, 5.389, 5.491, 4.329, 5.794),
]


@pytest.mark.parametrize(("rates", "width", "depth", "level", "tree", "line", "free"), PUBLISHED)
def test_published_examples(
    rates: tuple[float, ...],
    width: int,
    depth: int,
    level: float,
    tree: float,
    line: float,
    free: float,
) -> None:
    nodes = width * depth
    programme = Programme(rates, nodes, nodes)
    assert round(expected_tokens(beam(rates, width, depth), rates), 3) == level
    assert round(programme.tokens(nodes, depth), 3) == tree
    assert round(expected_tokens(chain(depth), rates), 3) == line
    assert round(programme.tokens(nodes, nodes), 3) == free


@pytest.mark.parametrize(
    ("rates", "tokens", "endless"), [(WIDE, 5.063, 2.857), (NARROW, 6.582, 5.0)]
)
def test_published_large_trees(rates: tuple[float, ...], tokens: float, endless: float) -> None:
    assert round(Programme(rates, 63, 63).tokens(63, 63), 3) == tokens
    assert round(expected_tokens(chain(400), rates), 3) == endless


@st.composite
def rank_rates(draw: st.DrawFn) -> list[float]:
    parts = draw(st.lists(st.integers(0, 50), min_size=2, max_size=4))
    return [part / max(sum(parts), 1) for part in parts[:-1]]


@given(rank_rates(), st.integers(0, 6), st.integers(0, 4))
@settings(max_examples=150)
def test_no_tree_is_better(rates: list[float], budget: int, depth: int) -> None:
    programme = Programme(rates, budget, depth)
    best = max(worth(paths, rates) for paths in trees(len(rates), budget, depth))
    assert programme.tokens(budget, depth) == pytest.approx(best)
    shape = programme.shape(budget, depth)
    assert expected_tokens(shape, rates) == pytest.approx(best)
    assert len(shape) <= budget
    assert shape.depth <= depth


def worth(paths: frozenset[tuple[int, ...]], rates: list[float]) -> float:
    return 1 + sum(float(np.prod([rates[rank] for rank in path])) for path in paths)


def trees(ranks: int, budget: int, depth: int) -> Iterator[frozenset[tuple[int, ...]]]:
    """Give every tree, as its paths of ranks, by adding a node at a time."""
    level = {frozenset[tuple[int, ...]]()}
    for _ in range(budget + 1):
        yield from level
        level = {
            known | {(*path, rank)}
            for known in level
            for path in (*known, ())
            for rank in range(ranks)
            if len(path) < depth and (*path, rank) not in known
        }


def test_budget_128_takes_less_than_a_second() -> None:
    began = time.process_time()
    programme = Programme([0.89, 0.067, 0.019, 0.008, 0.004, 0.003, 0.002, 0.001], 128, 16)
    shape = programme.shape(128, 16)
    assert time.process_time() - began < 1
    assert len(shape) == 128


@pytest.mark.parametrize("rates", [[], [0.7, 0.7], [-0.1, 0.5]])
def test_bad_rates_are_refused(rates: list[float]) -> None:
    with pytest.raises(ValueError, match="rank"):
        Programme(rates, 4, 4)


def test_the_chain_of_first_choices_comes_first() -> None:
    shape = Programme(WIDE, 12, 4).shape(12, 4)
    first = shape.ranks.index(1)
    assert shape.parents[:first] == tuple(range(-1, first - 1))
    assert set(shape.ranks[:first]) == {0}
    assert all(parent < node for node, parent in enumerate(shape.parents))
    assert sorted(node for level in shape.levels for node in level) == list(range(12))


def test_rows_of_draft_passes() -> None:
    shape = from_paths([(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0)])
    assert shape.parents == (-1, 0, 1, -1, 0, 3)
    assert shape.depths == (1, 2, 3, 1, 2, 2)
    assert shape.rows == (1, 2, 1)
    assert chain(4).rows == (1, 1, 1, 1)
    assert chain(0).rows == ()
