"""When sources are believed and when the draft model is asked, by the history alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.engine.tiny import TinyTokenizer
from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.draft.thrifty import PROBE_STEPS, Thrift, ThriftyDrafter
from umbrella_engine.draft.trusted import TrustedDrafter
from umbrella_engine.healing import Healing
from umbrella_engine.shape.costs import FREE, Costs, Curve, Prices
from umbrella_engine.tree import Tree, chain

# a draft pass costs 0.4 tokens
PRICES = Prices(Costs(Curve((1,), (1.0,)), Curve((1,), (0.4,))), tokens_per_ms=1.0, first=0.9)
NOTHING = Tree()


class Canned:
    """A drafter that always proposes the same and remembers what it was told."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.asked = 0
        self.told: list[int] = []

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        yield self

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        self.asked += 1
        return self.tree

    def accept(self, tokens: Sequence[int]) -> None:
        self.told += tokens


def nothing() -> None:
    """A checkpoint that never stops anything."""


def test_the_draft_model_is_asked_where_nothing_is_promised() -> None:
    assert Thrift(PRICES, depth=8).asks(NOTHING)


def test_it_is_not_asked_beside_a_good_promise() -> None:
    thrift = Thrift(PRICES, depth=8)
    assert not thrift.asks(chain([1] * 8, probability=0.95))
    assert thrift.asks(chain([1] * 8, probability=0.2))


def test_it_is_asked_where_a_sure_promise_is_short() -> None:
    assert Thrift(PRICES, depth=8).asks(chain([1], probability=1.0))


def test_it_is_left_alone_when_wrong_and_comes_back_when_right() -> None:
    thrift, guess = Thrift(PRICES, depth=8), chain([1, 2, 3], probability=0.9)
    asked = []
    for _ in range(100):
        asked.append(thrift.asks(NOTHING))
        thrift.judge(guess if asked[-1] else NOTHING, [9])
    assert asked[0]
    resting = asked.index(False)
    assert [place for place in range(resting, 100) if asked[place]] == list(
        range(resting + PROBE_STEPS - 1, 100, PROBE_STEPS)
    )
    for _ in range(40 * PROBE_STEPS):
        asked.append(thrift.asks(NOTHING))
        thrift.judge(guess if asked[-1] else NOTHING, [1, 2, 3, 4])
    assert asked[100 : 100 + PROBE_STEPS].count(True) == 1
    assert all(asked[-PROBE_STEPS:])


def test_the_same_history_gives_the_same_decisions() -> None:
    def decisions() -> list[bool]:
        thrift, made = Thrift(PRICES, depth=8), []
        for step in range(200):
            made.append(thrift.asks(NOTHING))
            if made[-1]:
                thrift.judge(chain([1, 2], probability=0.8), [1, 2, 3] if step % 3 else [5])
        return made

    assert decisions() == decisions()


def test_a_draft_model_that_is_not_asked_still_follows() -> None:
    free, dear = Canned(chain([1] * 8, probability=0.99)), Canned(chain([2]))
    drafter = ThriftyDrafter(
        free, dear, Thrift(PRICES, depth=8), 16, Healing(TinyTokenizer()), FREE
    )
    with drafter.begin([0]) as draft:
        assert draft.propose(8, b"", nothing).tokens == [1] * 8
        draft.accept([1, 1, 5])
    assert (free.asked, dear.asked) == (1, 0)
    assert free.told == dear.told == [1, 1, 5]


def test_both_are_merged_where_both_are_asked() -> None:
    free, dear = Canned(chain([1], probability=0.1)), Canned(chain([2, 3], probability=0.8))
    drafter = ThriftyDrafter(
        free, dear, Thrift(PRICES, depth=8), 16, Healing(TinyTokenizer()), FREE
    )
    with drafter.begin([0]) as draft:
        assert draft.propose(8, b"", nothing).tokens == [2, 3, 1]
        assert len(draft.propose(0, b"", nothing)) == 1
    assert dear.asked == 1


def test_a_source_is_believed_as_far_as_it_was_right() -> None:
    source = Canned(chain([1, 2], probability=0.8))
    drafter = TrustedDrafter(source)

    def promised() -> float:
        with drafter.begin([0]) as draft:
            return draft.propose(8, b"", nothing).probabilities[0]

    def settle(tokens: list[int], times: int) -> None:
        with drafter.begin([0]) as draft:
            for _ in range(times):
                draft.propose(8, b"", nothing)
                draft.accept(tokens)

    assert promised() == pytest.approx(0.8)
    settle([7], 300)
    assert promised() < 0.01
    settle([1, 7], 300)  # the first of two is right: 0.5 of the guesses, 0.8 promised
    assert promised() == pytest.approx(0.5, abs=0.01)
    settle([1, 2, 7], 300)
    assert promised() == pytest.approx(1.0, abs=0.001)
