"""Who writes when, and what is said of it."""

from dataclasses import dataclass, field

import pytest

from umbrella_daemon.bench.code import Quality
from umbrella_daemon.bench.ours import EngineWriter
from umbrella_daemon.bench.page import over_this
from umbrella_daemon.bench.writing import (
    WARM_UP,
    Account,
    Ask,
    Record,
    WriterFailed,
    Written,
    percentile,
    race,
)
from umbrella_engine.scripted import ScriptedEngine

ASKS = [Ask([n]) for n in range(WARM_UP + 4)]


@dataclass
class Noting:
    """Notes which prompts it was given, in a list that all writers share."""

    name: str
    log: list[tuple[str, int]] = field(default_factory=list)

    def write(self, ask: Ask, count: int) -> Written:
        self.log.append((self.name, ask.ids[0]))
        return Written([ask.ids[0]] * count, total_ms=1.0)


def test_writers_take_turns_in_going_first_and_warm_up_with_other_prompts() -> None:
    log: list[tuple[str, int]] = []
    writers = [Noting("a", log), Noting("b", log)]
    found = list(race(writers, ASKS, 3, 60.0, lambda *_: None))
    warming = [(name, n) for name in "ab" for n in range(WARM_UP)]
    assert log == [
        *warming, ("a", 2), ("b", 2), ("b", 3), ("a", 3), ("a", 4), ("b", 4), ("b", 5), ("a", 5),
    ]  # fmt: skip
    assert [place for place, _ in found] == [2, 3, 4, 5]
    assert found[0][1]["a"].tokens == [2, 2, 2]


@pytest.mark.parametrize("last", [0, 3])
def test_who_fails_is_left_out_from_then_on_and_the_reason_is_kept(last: int) -> None:
    @dataclass
    class Failing(Noting):
        def write(self, ask: Ask, count: int) -> Written:
            if ask.ids[0] >= last:
                raise WriterFailed("no room")
            return super().write(ask, count)

    record, log = Record(), list[tuple[str, int]]()
    writers = [Noting("a"), Failing("b", log)]
    found = dict(race(writers, ASKS, 1, 60.0, lambda *_: None, record))
    assert [place for place, answers in found.items() if "b" in answers] == [*range(2, last)]
    assert all("a" in answers for answers in found.values())
    assert [n for _, n in log] == [*range(last)]
    assert record.failures == {"b": "no room"}
    assert record.figures("b")["reason"] == "no room"
    assert record.figures("a")["reason"] is None


def test_a_race_ends_after_its_time_but_not_before_one_prompt() -> None:
    told: list[int] = []
    writers = [Noting("a")]
    found = list(race(writers, ASKS, 1, 1e-9, lambda _, percent: told.append(percent)))
    assert len(found) == 1
    assert all(0 <= percent <= 100 for percent in told)


def test_figures_leave_out_the_prompt_and_the_first_step() -> None:
    account = Account(
        [
            Written([1, 2, 3, 4], 1, 100.0, 400.0, steps=2, accepted=2),
            Written([1, 2], 2, 50.0, 50.0, steps=1, accepted=1),
        ],
        same=2,
    )
    figures = account.figures("x")
    assert figures["tokens_per_second"] == 10.0  # three tokens in 300 ms
    assert figures["tokens_per_second_with_prompt"] == 13.3
    assert figures["tokens_per_step"] == 2.0
    assert figures["accepted_per_step"] == 1.0
    assert figures["first_ms_p50"] == 75.0
    assert figures["same_text"] == 2


def test_figures_of_nothing_are_no_figures() -> None:
    figures = Account().figures("x", same_text=False)
    assert figures["requests"] == 0
    assert figures["tokens_per_second"] is None
    assert figures["accepted_per_step"] is None
    assert figures["first_ms_p50"] is None
    assert figures["same_text"] is None


def test_rows_are_held_against_the_first() -> None:
    rows = over_this(
        (
            {"name": "ours", "tokens_per_second": 30.0},
            {"name": "slow", "tokens_per_second": 20.0},
            {"name": "none", "tokens_per_second": None},
        )
    )
    assert [row["ours_over_this"] for row in rows] == [1.0, 1.5, None]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([3.0], 90, 3.0), ([1.0, 9.0, 2.0], 50, 2.0), (list(range(101)), 90, 90.0)],
)
def test_percentiles(values: list[float], percent: int, expected: float | None) -> None:
    assert percentile(values, percent) == expected


def test_an_engine_writes_until_its_stop() -> None:
    engine = ScriptedEngine(lambda _: "hello", tokens_per_step=2)
    writer = EngineWriter("x", engine, engine.tokenizer.stop_ids)
    written = writer.write(Ask(list(b"say ")), 64)
    assert bytes(written.tokens) == b"hello"
    assert written.first_tokens == 2
    assert written.prefilled == 4
    assert 0 < written.first_ms <= written.total_ms


@pytest.mark.parametrize(
    ("text", "truth", "exact"),
    [
        ("a = 1\nb = 2\n", "a = 1\n", True),  # lines beyond the hole's are not held against it
        ("a = 1  ", "a = 1", True),
        ("a = 1\nb = 2", "a = 1\nb = 2", True),
        ("a = 1\nb = 3", "a = 1\nb = 2", False),
        ("", "a", False),
    ],
)
def test_text_is_held_against_what_stood_there(text: str, truth: str, exact: bool) -> None:
    quality = Quality()
    quality.judge(text, truth)
    assert quality.exact == [exact]
    assert (quality.similarity[0] == 1.0) == exact
