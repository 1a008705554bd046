"""Calibration: monotone, the identity without data, close to the truth with it."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_engine.shape.calibration import Calibration, fit


def test_without_knots_nothing_changes() -> None:
    said = np.array([[0.0, 0.3], [1.0, 0.5]])
    assert (Calibration()(said) == said).all()


def test_too_few_guesses_change_nothing() -> None:
    assert fit([0.5] * 60, [True] * 60) == Calibration()


def test_an_under_confident_draft_is_corrected() -> None:
    rng = random.Random(5)
    said = [rng.random() for _ in range(20000)]
    right = [rng.random() < one**0.5 for one in said]  # 0.25 is right half the time
    mapped = fit(said, right)(np.array([0.1, 0.25, 0.5, 0.8]))
    assert mapped == pytest.approx([0.1**0.5, 0.5, 0.5**0.5, 0.8**0.5], abs=0.04)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=80, max_size=400),
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_order_is_kept_and_nothing_is_certain(
    guesses: list[tuple[float, bool]], asked: list[float]
) -> None:
    calibration = fit([p for p, _ in guesses], [hit for _, hit in guesses])
    mapped = calibration(np.array(sorted(asked)))
    assert (np.diff(mapped) >= -1e-12).all()
    assert mapped.min() >= 0
    assert mapped.max() <= 1
