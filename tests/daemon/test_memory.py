"""Which documents the engine is told of, and when."""

import threading
from collections.abc import Sequence

import pytest

from tests.daemons import complete
from umbrella_daemon.resident.memory import CHANGED_MUCH, MAX_CHARACTERS, MAX_DOCUMENTS, Memory
from umbrella_engine.scripted import ScriptedEngine


class Listener(ScriptedEngine):
    """A scripted engine that knows where it was told of texts."""

    def __init__(self) -> None:
        super().__init__(lambda _: "")
        self.threads: set[str] = set()
        self.told: list[tuple[str, str]] = []

    def remember(self, name: str, ids: Sequence[int]) -> None:
        self.threads.add(threading.current_thread().name)
        self.told.append((name, bytes(ids).decode()))
        super().remember(name, ids)


@pytest.fixture
def engine() -> Listener:
    return Listener()


def told(memory: Memory, engine: Listener) -> list[tuple[str, str]]:
    memory._encoder.submit(int).result()  # one thread: everything before is done
    return engine.told


def test_documents_are_told_of_when_first_seen_and_when_left(engine: Listener) -> None:
    memory = Memory()
    memory.serve(engine)
    memory.watch(complete(1, "ab", document="a", suffix="c"))
    memory.watch(complete(2, "abx", document="a", suffix="c"))
    assert told(memory, engine) == [("a", "abc")]
    memory.watch(complete(3, "d", document="b"))
    assert told(memory, engine) == [("a", "abc"), ("a", "abxc"), ("b", "d")]
    memory.watch(complete(4, "abx", document="a", suffix="c"))
    assert told(memory, engine)[3:] == []  # known already
    assert engine.threads.isdisjoint({threading.current_thread().name})
    assert set(engine.remembered) == {"a", "b"}
    memory.close()


def test_much_new_text_is_told_of_at_once(engine: Listener) -> None:
    memory = Memory()
    memory.serve(engine)
    memory.watch(complete(1, "a", document="a"))
    memory.watch(complete(2, "a" * CHANGED_MUCH, document="a"))
    memory.watch(complete(3, "a" * (CHANGED_MUCH + 1), document="a"))
    assert [len(text) for _, text in told(memory, engine)] == [1, CHANGED_MUCH + 1]
    memory.close()


def test_what_is_opened_before_there_is_an_engine_is_told_of_later(engine: Listener) -> None:
    memory = Memory()
    memory.note("a", "one")
    memory.note("a", "two")
    memory.note("b", "x" * (MAX_CHARACTERS + 1))
    memory.serve(engine)
    assert told(memory, engine) == [("a", "two"), ("b", "x" * MAX_CHARACTERS)]
    memory.note("a", "two")
    assert len(told(memory, engine)) == 2
    memory.close()


def test_of_a_long_document_the_surroundings_of_the_cursor_are_kept(engine: Listener) -> None:
    memory = Memory()
    memory.serve(engine)
    memory.watch(complete(1, "a" * MAX_CHARACTERS + "b", document="a", suffix="c" + "d" * 10**6))
    ((_, text),) = told(memory, engine)
    assert len(text) == MAX_CHARACTERS
    assert "abcd" in text
    memory.close()


def test_documents_are_bounded(engine: Listener) -> None:
    memory = Memory()
    for number in range(MAX_DOCUMENTS + 1):
        memory.note(str(number), "x")
    memory.serve(engine)
    names = [name for name, _ in told(memory, engine)]
    assert names == [str(number) for number in range(1, MAX_DOCUMENTS + 1)]
    memory.close()


def test_a_text_that_cannot_be_remembered_costs_nothing_else(
    engine: Listener, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    memory.serve(engine)
    with monkeypatch.context() as patch:
        patch.setattr(Listener, "remember", None)
        memory.note("a", "one")
        told(memory, engine)
    memory.note("b", "two")
    assert told(memory, engine) == [("b", "two")]
    assert "could not be remembered" in caplog.text
    memory.close()
