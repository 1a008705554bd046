from typing import Any

import pytest

from tests.daemons import complete
from umbrella_daemon.resident.foresight import likely, otherwise
from umbrella_daemon.resident.habits import Habits


def states(prefix: str, text: str, replace_after: int = 0, **fields: Any) -> dict[str, str]:
    """Likely states, with a bar at the cursor."""
    request = complete(1, prefix, explicit=True, candidates=3, **fields)
    found = dict(likely(request, text, replace_after))
    for state in found.values():
        assert (state.explicit, state.candidates) == (False, 1)
    return {kind: f"{state.prefix}|{state.suffix}" for kind, state in found.items()}


def test_all_a_line_a_word_or_enter_may_follow() -> None:
    assert states("if a:\n    ", "return b + c\n    # d", suffix="\n\nx") == {
        "all": "if a:\n    return b + c\n    # d|\n\nx",
        "line": "if a:\n    return b + c|\n\nx",
        "word": "if a:\n    return|\n\nx",
        "newline": "if a:\n    return b + c\n    # d\n    |\n\nx",
    }


def test_no_state_is_named_twice() -> None:
    assert states("x = ", "a") == {"all": "x = a|", "newline": "x = a\n|"}
    assert states("x = ", "a b") == {
        "all": "x = a b|",
        "word": "x = a|",
        "newline": "x = a b\n|",
    }


def test_where_nothing_is_shown_only_enter_is_likely() -> None:
    assert states("x = a", "") == {"newline": "x = a\n|"}


def test_within_a_line_enter_is_not_likely() -> None:
    assert set(states("f(", "a, b", suffix=", c)")) == {"all", "word"}


def test_what_an_answer_replaces_is_gone_once_it_is_accepted() -> None:
    found = states("f(", "a)", 1, suffix=")\n")
    assert found == {"all": "f(a)|\n", "word": "f(a|)\n", "newline": "f(a)\n|\n"}


def test_a_suggestion_that_begins_with_a_line_break_gives_its_next_line() -> None:
    assert states("x = 1", "\ny = 2\nz = 3")["line"] == "x = 1\ny = 2|"


@pytest.mark.parametrize(
    ("before", "indent"),
    [
        ("def f():", "    "),
        ("\tif a:\n\t\tb = {", "\t\t\t"),
        ("if a:\n  b = (", "    "),
        ("if a:\n    b = 1", "    "),
        ("def f():\n    return 1", ""),
        ("def f():\n    if a:\n        raise b", "    "),
    ],
)
def test_enter_indents_as_editors_do(before: str, indent: str) -> None:
    assert states(before, "")["newline"] == f"{before}\n{indent}|"


def test_line_breaks_are_those_of_the_document() -> None:
    found = states("if a:\r\n    ", "b\r\n    c", suffix="\r\n")
    assert found["line"] == "if a:\r\n    b|\r\n"
    assert found["newline"] == "if a:\r\n    b\r\n    c\r\n    |\r\n"


def test_returning_unindents_in_python_only() -> None:
    assert states("{\n    return 1;", "", language="c")["newline"] == "{\n    return 1;\n    |"


def test_other_beginnings_are_states_of_their_own() -> None:
    request = complete(1, "x = ", suffix=")")
    texts = ["self.a", "a", "", "alpha", " b", "\n", "sum", "c", "d", "e"]
    found = list(otherwise(request, "self.b", texts))
    assert [state.prefix for state in found] == ["x = a", "x =  "]
    assert found[0].explicit  # so that all of it is written
    more = otherwise(request, "", ["self.a", "a", "b", "c", "d", "e", "f"])
    assert [state.prefix[-1] for state in more] == ["s", "a", "b", "c"]


def test_kinds_are_ordered_by_what_the_user_did() -> None:
    habits = Habits()
    assert habits.order() == ["all", "line", "word", "newline", "other"]
    text = "return b\n    # c"
    for following in ("return", "return", "return b", "return b\n    # c", "r", "ret", "b * c"):
        habits.show(1, complete(1, "    "), text, 0)
        habits.watch(1, complete(2, "    " + following))
    assert dict(habits.counts) == {"word": 2, "line": 1, "all": 1, "other": 1}
    assert habits.order() == ["word", "all", "line", "other", "newline"]


def test_other_documents_clients_and_places_do_not_count() -> None:
    habits = Habits()
    habits.show(1, complete(1, "x = "), "a b", 0)
    habits.watch(1, complete(2, "x = a b", document="b"))
    habits.watch(2, complete(2, "x = a b"))
    habits.watch(1, complete(2, "x = a b", suffix="c"))
    habits.forget(1)
    habits.watch(1, complete(2, "x = a b"))
    assert not habits.counts


def test_suggestions_of_few_documents_are_remembered() -> None:
    habits = Habits()
    for number in range(100):
        habits.show(1, complete(1, "x = ", document=f"{number}"), "a b", 0)
    habits.watch(1, complete(2, "x = a b", document="0"))
    assert not habits.counts
    habits.watch(1, complete(2, "x = a b", document="99"))
    assert habits.counts["all"] == 1
