"""Curves, prices in tokens and the choice between plans."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_engine.shape import chain, defaults
from umbrella_engine.shape.choice import Plan, fastest, predict
from umbrella_engine.shape.costs import FREE, Costs, Curve, Prices

CHEAP_DRAFT = Costs(Curve((1, 64), (10.0, 12.0)), Curve((1, 64), (0.5, 0.6)))
DEAR_DRAFT = Costs(Curve((1, 64), (10.0, 12.0)), Curve((1, 64), (13.0, 14.0)))


def test_a_curve_is_straight_between_points_and_goes_on_as_steep() -> None:
    curve = Curve((1, 3, 5), (2.0, 4.0, 3.0))  # three rows were disturbed
    assert [curve.at(rows) for rows in (0, 1, 2, 3, 4, 5, 9)] == [0, 2, 2.5, 3, 3, 3, 4]
    assert Curve((1, 3), (2.0, 4.0)).at(10) == 11
    assert Curve((1, 3, 4), (2.0, 3.0, 5.0)).at(5) == 7  # steeper at the end than on the whole
    assert Curve((4,), (2.0,)).at(1) == Curve((4,), (2.0,)).at(40) == 2


@pytest.mark.parametrize(
    ("rows", "ms"),
    [((), ()), ((1, 2), (1.0,)), ((2, 1), (1.0, 1.0)), ((0,), (1.0,)), ((1,), (-1.0,))],
)
def test_curves_that_are_none(rows: tuple[int, ...], ms: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="curve"):
        Curve(rows, ms)


def test_a_step_costs_its_passes() -> None:
    costs = Costs(Curve((1, 9), (10.0, 18.0)), Curve((1, 3), (1.0, 3.0)), step_ms=0.5)
    assert costs.step(0) == 10.5
    assert costs.step(4, (1, 3)) == 14 + 4 + 0.5


def test_what_is_free_is_taken_and_what_promises_nothing_is_not() -> None:
    assert FREE.worth_reading([0.9, 0.1]) == FREE.worth_verifying([0.9, 0.1]) == 2
    assert FREE.worth_reading([]) == FREE.worth_verifying([]) == 0
    assert FREE.worth_reading([0.0]) == FREE.worth_verifying([0.0]) == 0


def test_prices() -> None:
    costs = Costs(Curve((1, 11), (10.0, 20.0)), Curve((1, 11), (5.0, 15.0)))
    prices = Prices(costs, tokens_per_ms=0.1, first=0.8)
    assert prices.reading() == pytest.approx(0.5)
    assert prices.worth_reading([0.8]) == 1  # 0.64, less 0.1 for verifying it, for 0.5
    assert prices.worth_reading([0.7]) == 0  # 0.46
    assert prices.worth_reading([0.8, 0.4, 0.1]) == 2  # 0.76 for 0.6, but not 0.74 for 0.7
    assert prices.worth_verifying([0.5, 0.11, 0.09]) == 2  # a row costs 0.1


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0, 2))
def test_no_other_number_of_nodes_gains_more(chances: list[float], pace: float) -> None:
    chances.sort(reverse=True)
    prices = Prices(CHEAP_DRAFT, pace)
    count = prices.worth_verifying(chances)
    curve = CHEAP_DRAFT.target

    def gain(nodes: int) -> float:
        return sum(chances[:nodes]) - pace * curve.at(1 + nodes)

    assert gain(count) == pytest.approx(max(gain(n) for n in range(len(chances) + 1)))


def test_the_choice_depends_on_what_the_draft_costs() -> None:
    rates = defaults.ACCEPTANCE
    cheap = fastest(predict(rates, CHEAP_DRAFT, 32, 8))
    assert cheap.preset == "static"
    assert cheap.depth == 8
    assert fastest(predict(rates, DEAR_DRAFT, 32, 8)).preset == "none"
    assert fastest(predict(rates, Costs(CHEAP_DRAFT.target), 32, 8)).preset == "none"
    # every node to verify costs as much as a plain step: branches do not pay, a sure chain does
    steep = Costs(Curve((1, 64), (1.0, 20.0)), Curve((1, 64), (0.1, 6.4)))
    assert fastest(predict(rates, steep, 32, 8)).preset == "chain"


def test_no_shape_is_faster_than_the_chosen_one() -> None:
    plans = {plan.preset: plan for plan in predict(defaults.ACCEPTANCE, CHEAP_DRAFT, 8, 4)}
    assert plans["static"].ms_per_token <= plans["chain"].ms_per_token * 1.01
    assert plans["chain"].shape == chain(4)
    assert plans["none"].ms_per_token == 10


def test_of_nearly_equal_plans_the_simplest_is_taken() -> None:
    plans = [Plan("merged", 2.0, 10.0), Plan("chain", 2.0, 10.05), Plan("none", 1.0, 6.0)]
    assert fastest(plans).preset == "chain"


def test_choosing_among_64_nodes_takes_less_than_a_second() -> None:
    began = time.process_time()
    predict(defaults.ACCEPTANCE, CHEAP_DRAFT, 64, 8)
    assert time.process_time() - began < 1


def test_defaults_draft_where_the_draft_is_small() -> None:
    for device in ("cpu", "cuda"):
        assert defaults.prices(defaults.costs(device, 0.3), 32, 8).reading() < 0.89
    assert defaults.prices(defaults.costs("cpu", None), 32, 8).worth_verifying([0.9, 0.02]) == 1
