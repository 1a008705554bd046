"""The store never says anything but what the engine would say, and forgets what it must."""

import math
import random
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.daemon.chain import Chain, Person, ask
from tests.daemons import complete
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.postprocess import Shown
from umbrella_daemon.resident.suggestions import Found, SuggestionStore
from umbrella_daemon.resident.written import Written
from umbrella_daemon.settings import CompletionSettings, Settings
from umbrella_daemon.wire import Alternative, Completed, Reason, Snippet

SETTINGS = CompletionSettings(max_tokens=64, max_lines=8, min_confidence=0.1)
STARTS = ["", "def f(a):\n    ", "x = (", "class A:\n    b = 1\n", "# aé\n"]


def store(max_entries: int = 1000, max_bytes: int = 10**6) -> SuggestionStore:
    return SuggestionStore(SETTINGS, max_entries, max_bytes)


def said(found: Found | None) -> tuple[str, int] | str | None:
    if found is None:
        return None
    outcome = found.outcome
    return (outcome.text, outcome.replace_after) if isinstance(outcome, Shown) else outcome.reason


def answered(completed: Completed) -> tuple[str, int] | str:
    return completed.reason or (completed.text, completed.replace_after)


def edit_at_random(completer: Completer, seed: int, outcomes: Counter[str]) -> None:
    """One sequence of edits: every answer of the store is compared with the engine's own."""
    rng = random.Random(seed)
    newline = rng.choice(("\n", "\n", "\r\n"))
    start = rng.choice(STARTS).replace("\n", newline)
    person = Person(rng, newline, start, rng.choice(("", ")", newline + "    return b")))
    known = store(max_entries=rng.choice((3, 1000)))
    for number in range(rng.randint(4, 20)):
        did = person.edit()
        request = complete(
            number,
            person.before,
            suffix=person.after,
            max_tokens=rng.choice((8, 40, 40, 40, 40)),
            max_lines=3,
            min_confidence=rng.choice((None, 0.0, 0.5)),
            explicit=rng.random() < 0.1,
            document=rng.choice(("a", "a", "a", "b")),
            candidates=3 if rng.random() < 0.1 else 1,
        )
        found = known.find(1, request)
        if found is None:
            job, own = ask(completer, request)
            known.add(1, request, job.written, own.alternatives)
            outcomes["engine"] += 1
        else:
            _, own = ask(completer, request)
            assert said(found) == answered(own), (seed, number, did)
            assert found.alternatives == own.alternatives, (seed, number, did)
            outcomes[did] += 1
        person.shown = own if own.text else None


@pytest.mark.parametrize(
    "part", [pytest.param(n, marks=pytest.mark.bench if n > 2 else ()) for n in range(10)]
)
def test_store_gives_what_the_engine_would_give_or_nothing(part: int) -> None:
    completer, outcomes = Completer(Chain(), Settings(completion=SETTINGS)), Counter[str]()
    for seed in range(1000 * part, 1000 * (part + 1)):
        edit_at_random(completer, seed, outcomes)
    assert outcomes["type_through"] > outcomes.total() / 10
    for did in ("undo", "backspace", "accept", "accept_word", "accept_line", "paste_suggested"):
        assert outcomes[did] > 50, f"{did} was never answered by the store: {outcomes}"


PREFIX = "def f(a):\n    return "


def one(raw: str, begun: int = 0, *, ended: bool = False, each: float = 0.0) -> Written:
    """What the engine wrote: a token a character, each with the log-probability `each`."""
    pieces = ((raw[:begun], 0.0), *((character, each) for character in raw[begun:]))
    return Written(raw.split("\n")[0], [], raw, begun, ended, pieces=pieces)


def written(raw: str, *, ended: bool = False) -> list[Written]:
    return [one(raw, ended=ended)]


def known(raw: str = "a + b\nx = 1", prefix: str = PREFIX, **fields: Any) -> SuggestionStore:
    """A store with the answer `raw` to one request."""
    holder = store()
    holder.add(1, complete(1, prefix, **fields), written(raw))
    return holder


def found(holder: SuggestionStore, prefix: str, client: int = 1, **fields: Any) -> Any:
    return said(holder.find(client, complete(2, prefix, **fields)))


@pytest.mark.parametrize("typed", ["", "a", "a +", "a + b"])
def test_typing_pasting_and_partial_accept_find_the_rest(typed: str) -> None:
    rest = "a + b".removeprefix(typed)
    expected = (rest, 0) if rest else Reason.EMPTY
    assert found(known(), PREFIX + typed) == expected


@pytest.mark.parametrize("typed", ["b", "a +b", "a + b\n", "a + b\nx = 12"])
def test_what_was_not_written_or_not_to_its_end_is_not_known(typed: str) -> None:
    assert found(known(), PREFIX + typed) is None


def test_typed_back_over_what_was_wrong_it_is_known_again() -> None:
    holder = known()
    holder.add(1, complete(2, PREFIX + "aq"), written("uery\n"))
    assert found(holder, PREFIX + "aq") == ("uery", 0)
    assert found(holder, PREFIX + "a") == (" + b", 0)
    assert found(holder, PREFIX) == ("a + b", 0)


@pytest.mark.parametrize(
    "other",
    [
        {"suffix": ")"},
        {"document": "b.py"},
        {"language": "lua"},
        {"path": "/elsewhere/a.py"},
        {"max_tokens": 3},
        {"max_lines": 1},
        {"candidates": 2},
        {"snippets": (Snippet("b.py", "c = 1"),)},
        {"client": 2},
        {"prefix": "# changed\n" + PREFIX},
        {"prefix": PREFIX.replace("f(a)", "f(b)")},
    ],
)
def test_any_other_state_is_another_state(other: dict[str, Any]) -> None:
    assert found(known(), **{"prefix": PREFIX} | other) is None
    assert found(known(), PREFIX) is not None


def test_what_was_written_last_for_a_state_counts() -> None:
    holder = known()
    holder.add(1, complete(2, PREFIX + "a"), written(" - 1\n"))
    holder.add(1, complete(3, PREFIX), written("c\n"))
    assert found(holder, PREFIX) == ("c", 0)
    assert found(holder, PREFIX + "a") == (" - 1", 0)
    assert len(holder) == 2


def test_an_answer_cut_short_is_known_at_its_own_state_only() -> None:
    holder = store()
    holder.add(1, complete(1, PREFIX), written("a + b"))
    assert found(holder, PREFIX) == ("a + b", 0)
    assert found(holder, PREFIX + "a") is None
    holder.add(1, complete(1, PREFIX), written("a + b", ended=True))
    assert found(holder, PREFIX + "a") == (" + b", 0)


def test_alternatives_are_known_at_their_state_and_once_their_beginning_is_typed() -> None:
    others = [one("b * 2\n", 1), one("bc\n", 1)]
    alternatives = (Alternative("b * 2"),)
    holder = store()
    holder.add(1, complete(1, PREFIX, candidates=3), [*written("a + b\n"), *others], alternatives)
    answer = holder.find(1, complete(2, PREFIX, candidates=3))
    assert answer is not None
    assert answer.alternatives == alternatives
    assert found(holder, PREFIX) == ("a + b", 0)
    assert found(holder, PREFIX + "b") == (" * 2", 0)
    assert found(holder, PREFIX + "bc") is None  # the third begins as a better one does


def test_an_alternative_of_several_characters_is_not_known_before_they_are_typed() -> None:
    holder = store()
    others = [*written("a\n"), one("self.b\n", 4)]
    holder.add(1, complete(1, PREFIX, candidates=2), others)
    assert found(holder, PREFIX + "sel") is None
    assert found(holder, PREFIX + "self") == (".b", 0)


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("", Reason.LOW_CONFIDENCE),  # the first token alone is too improbable
        ("se", None),  # its rest may be nearly certain, or not
        ("self", (".x", 0)),
        ("self.", ("x", 0)),  # sure enough whatever the rest of the token is worth
    ],
)
def test_the_rest_of_a_token_is_known_where_its_probability_does_not_matter(
    typed: str, known: tuple[str, int] | str | None
) -> None:
    pieces = (("self", math.log(0.05)), (".x", math.log(0.5)))
    several = store()
    written = Written(
        "self.x", [], "self.x", 0, True, probability=0.05, doubted=True, pieces=pieces
    )
    several.add(1, complete(1, PREFIX), [written])
    assert said(several.find(1, complete(2, PREFIX + typed))) == known


def test_lines_of_a_document_with_crlf_are_followed() -> None:
    prefix = "def f(a):\r\n    "
    holder = store()
    holder.add(1, complete(1, prefix), written("b = a\n    return b\n\nx"))
    assert found(holder, prefix + "b = a\r\n    ") == ("return b", 0)
    assert found(holder, prefix + "b = a\r") is None
    assert found(holder, prefix + "b = a\n    ") is None


def test_entries_and_bytes_are_bounded_and_the_oldest_go_first() -> None:
    size = 512 + 23 * 150 + 22  # of one of them
    for holder in (store(max_entries=3), store(max_bytes=4 * size - 1)):
        for number in range(5):
            holder.add(1, complete(1, f"{PREFIX}{number}"), written("0123456789\nx = 1\ny = 2"))
        assert len(holder) == 3
        assert holder.bytes <= 4 * size - 1
        assert [found(holder, f"{PREFIX}{n}") is None for n in range(5)] == [True] * 2 + [False] * 3


def test_what_was_found_lately_stays() -> None:
    holder = store(max_entries=2)
    for number in (1, 2, 3):
        holder.add(1, complete(1, f"{PREFIX}{number}"), written("a\n"))
        assert found(holder, PREFIX + "1") == ("a", 0)
    assert found(holder, PREFIX + "2") is None


def test_a_store_without_room_keeps_nothing() -> None:
    holder = store(max_entries=0)
    holder.add(1, complete(1, PREFIX), written("a\n"))
    assert (len(holder), holder.bytes, found(holder, PREFIX)) == (0, 0, None)


def test_documents_and_clients_are_forgotten() -> None:
    holder = store()
    for client, document in ((1, "a"), (1, "b"), (2, "a")):
        holder.add(client, complete(1, PREFIX, document=document), written("a\n"))
    holder.forget(1, "a")
    assert found(holder, PREFIX, document="a") is None
    assert found(holder, PREFIX, document="b") is not None
    holder.forget(1)
    assert found(holder, PREFIX, document="b") is None
    assert found(holder, PREFIX, client=2, document="a") is not None
    holder.clear()
    assert (len(holder), holder.bytes) == (0, 0)
    assert found(holder, PREFIX, client=2, document="a") is None


def test_a_large_document_with_many_entries_is_answered_within_a_millisecond() -> None:
    prefix, suffix = "x = 1\n" * 13_000, "y = 2\n" * 2_600  # as much as a window sends
    holder = store()
    for number in range(512):
        request = complete(1, prefix + "a" * (number % 60), suffix=suffix)
        holder.add(1, request, written("a" * (60 - number % 60) + f"{number}\n"))
    request = complete(1, prefix + "a" * 40, suffix=suffix)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        assert holder.find(1, request) is not None
        times.append(time.perf_counter() - start)
    assert min(times) < 1e-3


def test_who_asks_by_a_key_or_is_content_with_less_sees_what_was_hidden() -> None:
    holder = store()
    doubted = replace(one("a + b\n", each=-0.7), text="", doubted=True, probability=0.05)
    holder.add(1, complete(1, PREFIX), [doubted])
    assert found(holder, PREFIX) == Reason.LOW_CONFIDENCE
    assert found(holder, PREFIX + "a +") == (" b", 0)  # the rest is sure enough
    assert found(holder, PREFIX + "a") == Reason.LOW_CONFIDENCE
    assert found(holder, PREFIX + "a", explicit=True) == (" + b", 0)
    assert found(holder, PREFIX, min_confidence=0.001) == ("a + b", 0)
    assert found(holder, PREFIX + "a +", min_confidence=0.5) == Reason.LOW_CONFIDENCE
