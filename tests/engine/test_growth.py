"""Growth without a model: probabilities come from a made-up table."""

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from umbrella_engine.draft.growth import Candidate, DynamicGrowth, Growth, StaticGrowth
from umbrella_engine.shape import chain, from_paths
from umbrella_engine.shape.costs import FREE, Costs, Curve, Prices

Path = tuple[int, ...]


def rates_below(path: Path, seed: int, branches: int) -> list[float]:
    """What a draft says below the guesses `path`: anything, but always the same."""
    rng = random.Random(f"{seed} {path}")
    parts = sorted((rng.random() ** 3 for _ in range(branches)), reverse=True)
    return [part / (sum(parts) + 0.01) for part in parts]


def path_of(one: Candidate | None) -> Path:
    return () if one is None else (*path_of(one.parent), one.token)


def grow(growth: Growth, room: int, seed: int) -> tuple[list[Candidate], int]:
    """Grow a tree to its end; give it and the number of passes."""
    sprout = growth.sprout(room)
    latest: Sequence[Candidate | None] = [None]
    passes = 0
    while latest:
        passes += 1
        children = [
            [
                Candidate(token, rate, parent)
                for token, rate in enumerate(rates_below(path_of(parent), seed, growth.branches))
            ]
            for parent in latest
        ]
        latest = sprout.take(children)
    return sprout.kept(), passes


def best_first(budget: int, depth: int, branches: int, seed: int) -> list[float]:
    """Give the chances of the likeliest nodes there are, one at a time."""
    frontier: list[tuple[float, Path]] = [(1.0, ())]
    found: list[float] = []
    while frontier and len(found) <= budget:
        chance, path = frontier.pop(0)
        found.append(chance)
        if len(path) < depth:
            rates = rates_below(path, seed, branches)
            frontier += [(chance * rate, (*path, token)) for token, rate in enumerate(rates)]
            frontier.sort(key=lambda pair: -pair[0])
    return found[1:]


@given(st.integers(1, 24), st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_with_passes_enough_the_likeliest_nodes_are_kept(
    budget: int, room: int, width: int, seed: int
) -> None:
    growth = DynamicGrowth(depth=200, width=width, budget=budget, prices=FREE, branches=4)
    kept, _ = grow(growth, 200, seed)
    wanted = best_first(budget, 200, 4, seed)
    assert [round(one.chance, 12) for one in kept] == [round(one, 12) for one in wanted]
    kept, passes = grow(growth, room, seed)
    assert passes <= room
    assert max(one.depth for one in kept) <= room
    assert len({path_of(one) for one in kept}) == len(kept) <= budget
    places = {path_of(one): place for place, one in enumerate(kept)} | {(): -1}
    assert all(places[path_of(one)[:-1]] < places[path_of(one)] for one in kept)


def test_growth_ends_where_a_pass_costs_more_than_it_promises() -> None:
    def passes(price: float) -> int:
        costs = Costs(Curve((1,), (1.0,)), Curve((1,), (price,)))
        prices = Prices(costs, tokens_per_ms=1.0)
        growth = DynamicGrowth(depth=8, width=1, budget=99, prices=prices, branches=1)
        sprout = growth.sprout(99)
        batch, count = sprout.take([[Candidate(0, 0.5, None)]]), 1
        while batch:
            batch, count = sprout.take([[Candidate(0, 0.5, batch[0])]]), count + 1
        return count

    assert [passes(price) for price in (0.6, 0.3, 0.1, 0.0)] == [1, 2, 4, 8]


@given(
    st.sets(st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple), max_size=12),
    st.integers(1, 5),
)
def test_a_static_tree_has_its_shape(ends: set[Path], room: int) -> None:
    paths = {path[:length] for path in ends for length in range(1, len(path) + 1)}
    growth = StaticGrowth(from_paths(paths))
    kept, passes = grow(growth, room, seed=1)
    assert {path_of(one) for one in kept} == {path for path in paths if len(path) <= room}
    deepest = max((len(path) for path in paths), default=1)
    assert passes == min(deepest, room)


def test_a_static_tree_does_without_what_does_not_exist() -> None:
    sprout = StaticGrowth(from_paths([(0,), (1,), (0, 0), (1, 0)])).sprout(4)
    only = Candidate(7, 1.0, None)
    assert sprout.take([[only]]) == [only]  # no second candidate
    assert sprout.take([[Candidate(8, 1.0, only)]]) == []
    assert [one.token for one in sprout.kept()] == [7, 8]


def test_a_chain_is_read_one_guess_at_a_time() -> None:
    kept, passes = grow(StaticGrowth(chain(5)), 3, seed=0)
    assert [one.depth for one in kept] == [1, 2, 3]
    assert passes == 3
