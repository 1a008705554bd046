from lsprotocol import types

from umbrella_daemon.lsp.context import Question
from umbrella_daemon.lsp.items import ACCEPTED, items
from umbrella_daemon.lsp.positions import Units
from umbrella_daemon.wire import Completed, Reason


def span(start: int, end: int) -> types.Range:
    return types.Range(types.Position(2, start), types.Position(2, end))


def question(suffix: str = "", head: str = "", where: types.Range | None = None) -> Question:
    return Question(
        document="file:///a",
        version=1,
        language="",
        path="/a",
        prefix="",
        suffix=suffix,
        explicit=False,
        range=where or span(4, 4),
        head=head,
    )


def item(question: Question, completed: Completed, unit: str = "utf-16") -> tuple[str, types.Range]:
    (only,) = items(question, completed, Units(unit)).items
    assert isinstance(only.insert_text, str)
    assert only.range is not None
    return only.insert_text, only.range


def test_insertion_at_the_cursor() -> None:
    assert item(question(), Completed(1, "foo()")) == ("foo()", span(4, 4))


def test_the_command_tells_of_acceptance() -> None:
    (only,) = items(question(), Completed(1, "foo()"), Units()).items
    assert only.command is not None
    assert (only.command.command, only.command.arguments) == (ACCEPTED, ["file:///a", 5])


def test_nothing() -> None:
    assert items(question(), Completed(1, reason=Reason.EMPTY), Units()).items == []


def test_replaced_characters_are_counted_in_the_clients_unit() -> None:
    completed = Completed(1, "x😋)", replace_after=2)
    assert item(question("😋)\n"), completed, "utf-16") == ("x😋)", span(4, 7))
    assert item(question("😋)\n"), completed, "utf-8") == ("x😋)", span(4, 9))


def test_the_range_stays_on_its_line() -> None:
    assert item(question(")\r\nmore"), Completed(1, "x)", replace_after=9)) == ("x)", span(4, 5))


def test_a_selected_item_begins_the_text_and_keeps_its_range() -> None:
    selected = question("\n", "print", span(2, 4))
    assert item(selected, Completed(1, "(x)")) == ("print(x)", span(2, 4))


def test_a_selected_item_keeps_its_range_when_the_answer_repeats_what_follows() -> None:
    selected = question(")\n", "print", span(2, 4))
    assert item(selected, Completed(1, "(x))", replace_after=1)) == ("print(x)", span(2, 4))


def test_a_selected_item_takes_in_what_the_answer_really_replaces() -> None:
    selected = question("]\n", "print", span(2, 4))
    assert item(selected, Completed(1, "(x)", replace_after=1)) == ("print(x)", span(2, 5))
