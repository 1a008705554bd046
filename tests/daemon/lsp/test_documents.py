import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from umbrella_daemon.lsp.documents import Document, Documents, split_lines
from umbrella_daemon.lsp.positions import Units

URI = "file:///project/a.py"
texts = st.text(alphabet="ab\n\r\t\f\x85\u2028é😋", max_size=30)


def position(line: int, character: int) -> types.Position:
    return types.Position(line, character)


def offset(text: str, line: int, character: int) -> int:
    """Where a UTF-32 position lies, written down straight from the protocol."""
    starts = [0] + [match.end() for match in re.finditer("\r\n|\r|\n", text)]
    if line >= len(starts):
        return len(text)
    ends = [match.start() for match in re.finditer("\r\n|\r|\n", text)] + [len(text)]
    return min(starts[line] + character, ends[line])


@given(texts)
def test_lines_end_where_the_protocol_says(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert [line.rstrip("\r\n") for line in lines] == re.split("\r\n|\r|\n", text)


@given(
    texts,
    st.lists(
        st.tuples(
            st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), texts
        ),
        max_size=4,
    ),
)
def test_edits_give_what_they_give_on_the_whole_text(
    text: str, edits: list[tuple[int, int, int, int, str]]
) -> None:
    document, units = Document(text), Units("utf-32")
    for line, character, last_line, last_character, new in edits:
        edges = (position(line, character), position(last_line, last_character))
        start, end = sorted((edge.line, edge.character) for edge in edges)
        first, last = offset(text, *start), offset(text, *end)
        place, other = (document.place(edge, units) for edge in edges)
        changed = document.replace(place, other, new)
        assert changed == (text[first:last] != new)
        text = text[:first] + new + text[last:]
        assert "".join(document.lines) == text
        assert document.lines == split_lines(text)
        assert document.characters == len(text)


def test_a_form_feed_ends_no_line() -> None:
    document = Document("a\f\nb\n")
    assert document.lines == ["a\f\n", "b\n", ""]


def test_positions_are_clamped() -> None:
    document, units = Document("ab\r\nc"), Units()
    assert document.place(position(0, 99), units) == (0, 2)
    assert document.place(position(1, 99), units) == (1, 1)
    assert document.place(position(99, 99), units) == (1, 1)
    assert Document("").place(position(3, 3), units) == (0, 0)


def test_lone_surrogates_are_replaced_and_columns_stay() -> None:
    document, units = Document("\ud83d = 'x'"), Units("utf-16")
    assert document.lines == ["\ufffd = 'x'"]
    document.replace((0, 5), (0, 6), "\udca9")
    assert document.lines == ["\ufffd = '\ufffd'"]
    assert document.place(position(0, 6), units) == (0, 6)


def edit(line: int, start: int, end: int, text: str) -> types.TextDocumentContentChangePartial:
    span = types.Range(position(line, start), position(line, end))
    return types.TextDocumentContentChangePartial(span, text)


@pytest.fixture
def documents() -> Documents:
    documents = Documents()
    documents.open(types.TextDocumentItem(URI, "python", 1, "a😋b\n"))
    return documents


def test_changes_are_applied_in_order(documents: Documents) -> None:
    identifier = types.VersionedTextDocumentIdentifier(version=2, uri=URI)
    assert documents.change(identifier, [edit(0, 3, 4, "c"), edit(0, 4, 4, "d")])
    document = documents.get(URI)
    assert document is not None
    assert (document.lines, document.version, document.language) == (["a😋cd\n", ""], 2, "python")


def test_a_change_to_the_same_text_is_none(documents: Documents) -> None:
    identifier = types.VersionedTextDocumentIdentifier(version=2, uri=URI)
    same = types.TextDocumentContentChangeWholeDocument("a😋b\n")
    assert not documents.change(identifier, [edit(0, 0, 1, "a"), same])


def test_a_uri_is_the_same_however_it_is_quoted(documents: Documents) -> None:
    assert documents.get("file:///project%2Fa.py") is documents.get(URI)
    documents.close("file:///%70roject/a.py")
    assert documents.get(URI) is None


def test_changes_to_a_document_never_opened(documents: Documents) -> None:
    other = types.VersionedTextDocumentIdentifier(version=7, uri="file:///other")
    assert not documents.change(other, [edit(0, 0, 1, "lost")])
    assert documents.get("file:///other") is None
    assert documents.change(other, [types.TextDocumentContentChangeWholeDocument("whole")])
    document = documents.get("file:///other")
    assert document is not None
    assert (document.lines, document.version) == (["whole"], 7)
