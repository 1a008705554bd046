import pytest

from umbrella_daemon.lsp.acceptance import Acceptance
from umbrella_daemon.lsp.threshold import least_confidence
from umbrella_daemon.settings import CompletionSettings


def least(displayed: int, accepted: int, partially: int = 0, **fields: float) -> float:
    counts = Acceptance().counts | {
        "displayed": displayed,
        "accepted": accepted,
        "partially_accepted": partially,
    }
    return least_confidence(CompletionSettings(**fields), counts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("displayed", "accepted", "factor"),
    [
        (0, 0, 1), (5, 0, 1), (5, 5, 0.5), (40, 10, 1), (100, 25, 1),
        (30, 0, 2), (100, 3, 4), (1000, 20, 8), (10_000, 0, 8),
        (100, 60, 0.5), (1000, 1000, 0.25),
        (0, 7, 1),  # an editor that does not tell what it displays
    ],
)  # fmt: skip
def test_who_takes_little_sees_what_is_surer(displayed: int, accepted: int, factor: float) -> None:
    assert least(displayed, accepted, min_confidence=0.02) == pytest.approx(0.02 * factor)


def test_a_part_that_is_taken_counts() -> None:
    assert least(100, 0, 25) == least(100, 25)


def test_it_stays_within_reason_and_moves_rarely() -> None:
    assert least(10_000, 0, min_confidence=0.3) == 0.5
    assert least(10_000, 0, min_confidence=0.9) == 0.9
    values = [least(displayed, displayed // 9) for displayed in range(0, 2000, 9)]
    assert values == sorted(values)
    assert len(set(values)) <= 3


def test_it_can_be_switched_off() -> None:
    assert least(10_000, 0, min_confidence=0.0) == 0.0
    assert least(10_000, 0, min_confidence=0.02, adapt_confidence=False) == 0.02
