"""The session of typing that is made up."""

import itertools
import sysconfig
from pathlib import Path

from umbrella_daemon.bench.text import Text
from umbrella_daemon.bench.typist import functions, synthesise
from umbrella_daemon.typing_trace import Ask, Change, Focus, Open, asks

STDLIB = Path(sysconfig.get_paths()["stdlib"])


def test_the_same_seed_types_the_same() -> None:
    assert synthesise(3, 80) == synthesise(3, 80) != synthesise(4, 80)


def test_a_session_has_all_that_people_do() -> None:
    trace = synthesise(11, 900)
    assert asks(trace.events) == 900
    changes = [event for event in trace.events if isinstance(event, Change)]
    opened = [event for event in trace.events if isinstance(event, Open)]
    focused = [event for event in trace.events if isinstance(event, Focus)]
    assert len({event.document for event in opened}) >= 2
    assert len(focused) > len(opened)  # jumps within a file
    assert any(event.accepted and len(event.text) > 4 for event in changes)
    assert any(not event.text for event in changes)  # backspace
    assert any(event.text.startswith("\n ") for event in changes)
    times = [event.ms for event in trace.events]
    assert times == sorted(times)
    gaps = [b - a for a, b in itertools.pairwise(times) if b > a]
    assert 100 < sorted(gaps)[len(gaps) // 2] < 300


def test_what_is_typed_in_the_end_is_what_stood_there() -> None:
    trace = synthesise(11, 900)
    texts: dict[str, Text] = {}
    for event in trace.events:
        if isinstance(event, Open):
            texts[event.document] = Text(event.text)
        elif isinstance(event, Change):
            texts[event.document].change(event.range, event.text)
    finished = list(texts)[:-1]  # the last one may have been cut short
    assert finished
    for name in finished:
        assert "\n".join(texts[name].lines) == (STDLIB / name).read_text()


def test_each_ask_is_at_the_end_of_what_was_typed() -> None:
    before: Change | None = None
    for event in synthesise(5, 300).events:
        if isinstance(event, Ask):
            assert before is not None
            assert before.range is not None
            line, character = before.range[:2]
            rows = before.text.split("\n")
            column = len(rows[-1]) + (character if len(rows) == 1 else 0)
            assert event.at == (line + len(rows) - 1, column)
            assert event.document == before.document
        before = event if isinstance(event, Change) else None


def test_functions_are_cut_whole() -> None:
    function = next(functions(STDLIB, 1))
    whole = function.before + function.text + function.after
    assert whole == (STDLIB / function.file).read_text()
    assert function.text.startswith("def ")
