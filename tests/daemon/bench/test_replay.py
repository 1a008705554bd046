"""Replaying keys: who waits for what, and what is counted."""

import asyncio
from dataclasses import dataclass, field

import pytest

from umbrella_daemon.bench.keystrokes import figures, reasons, series
from umbrella_daemon.bench.replay import OVERTAKEN, Answer, Key, Pace, Work, replay
from umbrella_daemon.typing_trace import Ask, Change, Close, Event, Focus, Open, Place

KEYS = 4
TRACE: list[Event] = [Open(0.0, "a.py", "python", ""), Focus(0.0, "a.py", (0, 0))]
for number in range(KEYS):
    span = (0, number, 0, number)
    TRACE.append(Change(10.0 * number, "a.py", span, "x"))
    TRACE.append(Ask(10.0 * number, "a.py", (0, number + 1)))
TRACE.append(Close(100.0, "a.py"))


@dataclass
class Slow:
    """Answers only when it is told to; notes what happens."""

    name: str = "slow"
    log: list[str] = field(default_factory=list)
    answers_at_once: bool = True

    async def open(self, event: Open) -> None:
        self.log.append("open")

    async def change(self, event: Change) -> None:
        self.log.append("change")

    async def focus(self, document: str, at: Place) -> None:
        self.log.append("focus")

    async def close_document(self, document: str) -> None:
        self.log.append("close")

    async def ask(self, document: str, at: Place) -> Answer:
        self.log.append("ask")
        if not self.answers_at_once and at[1] < KEYS:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.log.append("taken back")
                raise
        return Answer("text", "engine")

    async def settle(self) -> None:
        self.log.append("settle")

    async def explain(self, keys: list[Key]) -> None:
        self.log.append("explain")

    async def work(self) -> Work:
        return Work()


def played(contender: Slow, pace: Pace) -> list[Key]:
    return asyncio.run(replay(TRACE, contender, pace, lambda *_: None))


def test_at_the_pace_of_answers_each_key_waits_until_all_is_quiet() -> None:
    contender = Slow()
    keys = played(contender, "answers")
    opening = ["open", "settle", "focus", "settle"]
    assert contender.log == [*opening, *["change", "ask", "settle"] * KEYS, "close"]
    assert [key.answer.text for key in keys] == ["text"] * KEYS


def test_at_the_pace_of_typing_a_key_takes_the_request_before_it_back() -> None:
    contender = Slow(answers_at_once=False)
    keys = played(contender, "typed")
    assert [key.answer.reason for key in keys] == [OVERTAKEN] * (KEYS - 1) + [""]
    assert contender.log.count("taken back") == KEYS - 1
    assert contender.log[2:8] == ["change", "ask", "taken back", "change", "ask", "taken back"]
    assert "settle" not in contender.log
    assert all(key.ms > 0 for key in keys)


def test_pauses_of_a_trace_are_kept_but_not_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("umbrella_daemon.bench.replay.asyncio.sleep", sleep)
    trace: list[Event] = [Ask(0.0, "a.py", (0, 0)), Focus(1000.0, "a.py", (0, 0))]
    trace.append(Focus(900_000.0, "a.py", (0, 0)))
    asyncio.run(replay(trace, Slow(), "typed", lambda *_: None))
    assert max(waited) <= 4.0
    assert 0.9 < sorted(waited)[-2] <= 1.0


KEY_LIST = [
    Key("a.py", 1.0, Answer("x", "store")),
    Key("a.py", 2.0, Answer("", "prefetch", "low-confidence")),
    Key("a.py", 100.0, Answer("y", "engine")),
    Key("a.py", 50.0, Answer("", "", OVERTAKEN)),
    Key("a.py", 0.0, Answer("", "", "text right of the cursor")),
]


def test_a_row_counts_every_key_once() -> None:
    work = Work(prompt_tokens=1000, prefilled=10, requests=2, ahead_prefilled=15)
    row = figures("x", KEY_LIST, work)
    assert row["keys"] == 5
    assert (row["store"], row["prefetch"], row["cache"], row["engine"]) == (1, 1, 0, 1)
    assert (row["overtaken"], row["not_asked"], row["shown"]) == (1, 1, 2)
    assert row["at_hand"] == 0.4
    assert row["key_ms_p50"] == 26.0  # of 1, 2, 50 and 100: nothing was waited for at the last
    assert row["asked_ms_p50"] == 100.0
    assert row["prefilled_per_key"] == 2.0
    assert row["all_prefilled_per_key"] == 5.0
    assert row["reused"] == 0.99


def test_a_picture_knows_what_was_not_answered() -> None:
    assert series(KEY_LIST)["answered"] == [1.0, 1.0, 1.0, 0.0, 0.0]
    assert reasons(KEY_LIST)[OVERTAKEN] == 1
