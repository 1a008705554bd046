"""Lane policy on plain ints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_engine.errors import EngineError
from umbrella_engine.prefix_cache import PrefixCache, common_prefix, lanes_for_budget


def fill(cache: PrefixCache, ids: list[int]) -> int:
    placement = cache.acquire(ids)
    placement.lane.tokens = list(ids)
    cache.release(placement.lane)
    return placement.lane.index


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_common_prefix_equals_a_plain_count(a: list[int], b: list[int]) -> None:
    plain = 0
    while plain < min(len(a), len(b)) and a[plain] == b[plain]:
        plain += 1
    assert common_prefix(a, b) == plain


def test_extend_leaves_the_last_id_to_compute() -> None:
    cache = PrefixCache(2)
    lane = fill(cache, [1, 2, 3])
    placement = cache.acquire([1, 2, 3, 4, 5])
    assert (placement.lane.index, placement.reused, placement.copy_from) == (lane, 3, None)
    cache.release(placement.lane)
    assert cache.acquire([1, 2, 3]).reused == 2


def test_truncate_cuts_the_old_suggestion() -> None:
    cache = PrefixCache(2)
    lane = fill(cache, [1, 2, 3, 4, 70, 71])
    placement = cache.acquire([1, 2, 3, 4, 5])
    assert (placement.lane.index, placement.reused) == (lane, 4)
    assert placement.lane.tokens == [1, 2, 3, 4]


def test_fork_keeps_a_lane_that_would_lose_much() -> None:
    cache = PrefixCache(2)
    shared = list(range(20))
    old = fill(cache, [*shared, *range(100, 160)])
    placement = cache.acquire([*shared, 7, 8])
    assert placement.copy_from is cache.lanes[old]
    assert placement.lane.index != old
    assert placement.reused == 20
    assert len(cache.lanes[old].tokens) == 80


def test_a_lane_in_use_is_copied_not_shared() -> None:
    cache = PrefixCache(2)
    ids = list(range(30))
    first = cache.acquire(ids)
    first.lane.tokens = list(ids)
    second = cache.acquire([*ids, 99])
    assert second.copy_from is first.lane
    assert second.lane is not first.lane
    assert second.reused == 30


def test_the_least_recently_used_lane_is_evicted() -> None:
    cache = PrefixCache(3)
    lanes = [fill(cache, [base] * 5) for base in (1, 2, 3)]
    assert sorted(lanes) == [0, 1, 2]
    assert fill(cache, [1] * 6) == lanes[0]
    assert fill(cache, [9] * 5) == lanes[1]


def test_all_lanes_in_use_is_an_error() -> None:
    cache = PrefixCache(2)
    cache.acquire([1])
    cache.acquire([2])
    with pytest.raises(EngineError, match="all 2 cache lanes"):
        cache.acquire([3])


def test_lanes_follow_from_a_budget_in_bytes() -> None:
    assert lanes_for_budget(1000, 300) == 3
    assert lanes_for_budget(10, 300) == 2
    assert lanes_for_budget(10**9, 300) == 16


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=40), max_size=30), st.data())
def test_reuse_is_always_a_true_prefix(prompts: list[list[int]], data: st.DataObject) -> None:
    cache = PrefixCache(3)
    for ids in prompts:
        placement = cache.acquire(ids)
        assert placement.reused < len(ids)
        assert placement.lane.tokens == ids[: placement.reused]
        if placement.copy_from is not None:
            assert placement.copy_from.tokens[: placement.reused] == ids[: placement.reused]
        grown = data.draw(st.integers(placement.reused, len(ids)))
        placement.lane.tokens = ids[:grown]
        cache.release(placement.lane)
