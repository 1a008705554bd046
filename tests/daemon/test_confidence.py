import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_daemon.resident.confidence import Confidence, whole_lines


@given(st.lists(st.floats(-5, 0), min_size=1), st.floats(0.001, 1))
def test_it_holds_while_the_product_is_large_enough(logprobs: list[float], least: float) -> None:
    confidence = Confidence(least)
    for place, logprob in enumerate(logprobs):
        expected = sum(logprobs[: place + 1])
        assert confidence.holds(logprob) == (expected >= math.log(least))
        assert confidence.probability == pytest.approx(math.exp(expected))


@given(st.lists(st.floats(-50, 0), min_size=1), st.integers(0, 9), st.floats(0.001, 1))
def test_what_is_shown_is_shown_when_its_beginning_is_typed(
    logprobs: list[float], typed: int, least: float
) -> None:
    whole, rest = Confidence(least), Confidence(least)
    holds = [whole.holds(one) for one in logprobs]
    if all(holds):
        assert all(rest.holds(one) for one in logprobs[typed:])


def test_nothing_is_doubted_where_all_is_shown() -> None:
    confidence = Confidence(0.0)
    assert confidence.holds(-1e9)
    assert confidence.probability == 0.0


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", ""), ("a", ""), ("a\n", "a\n"), ("a\nb", "a\n"), ("\n", ""), ("\n  a", ""),
     ("\n  a\n", "\n  a\n"), ("a\r\nb", "a\r\n")],
)  # fmt: skip
def test_whole_lines(text: str, lines: str) -> None:
    assert whole_lines(text) == lines
