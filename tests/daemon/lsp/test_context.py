from itertools import pairwise
from pathlib import Path

import pytest
from lsprotocol import types

from umbrella_daemon.lsp.context import (
    PREFIX_CHARACTERS,
    PREFIX_STEP,
    SUFFIX_CHARACTERS,
    Question,
    Silence,
    after,
    ask,
    before,
)
from umbrella_daemon.lsp.documents import Document, Documents
from umbrella_daemon.lsp.positions import Units
from umbrella_daemon.settings import CompletionSettings

URI = "file:///project/a.py"


def params(
    line: int,
    character: int,
    uri: str = URI,
    selected: types.SelectedCompletionInfo | None = None,
    kind: types.InlineCompletionTriggerKind = types.InlineCompletionTriggerKind.Automatic,
) -> types.InlineCompletionParams:
    return types.InlineCompletionParams(
        text_document=types.TextDocumentIdentifier(uri),
        position=types.Position(line, character),
        context=types.InlineCompletionContext(kind, selected),
    )


def opened(text: str, language: str = "python", uri: str = URI) -> Documents:
    documents = Documents()
    documents.open(types.TextDocumentItem(uri, language, 3, text))
    return documents


async def question(
    documents: Documents, request: types.InlineCompletionParams, **settings: object
) -> Question:
    found = await ask(request, documents, CompletionSettings(**settings))  # type: ignore[arg-type]
    assert isinstance(found, Question), found
    return found


async def silence(
    documents: Documents, request: types.InlineCompletionParams, **settings: object
) -> str:
    found = await ask(request, documents, CompletionSettings(**settings))  # type: ignore[arg-type]
    assert isinstance(found, Silence), found
    assert found.detail
    return found.reason


def span(line: int, start: int, end: int) -> types.Range:
    return types.Range(types.Position(line, start), types.Position(line, end))


async def test_text_around_the_cursor() -> None:
    found = await question(opened("a = 1\nb = \nc = 3\n"), params(1, 4))
    assert (found.prefix, found.suffix) == ("a = 1\nb = ", "\nc = 3\n")
    assert (found.path, found.language, found.version) == ("/project/a.py", "python", 3)
    assert found.range == span(1, 4, 4)
    assert (found.head, found.explicit) == ("", False)


async def test_asked_for_by_a_key() -> None:
    invoked = types.InlineCompletionTriggerKind.Invoked
    assert (await question(opened(""), params(0, 0, kind=invoked))).explicit


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 9), ("utf-16", 7), ("utf-32", 6)])
async def test_columns_in_the_unit_agreed_on(encoding: str, column: int) -> None:
    documents = opened("x = '😋' + y\n")
    documents.units = Units(encoding)
    found = await question(documents, params(0, column))
    assert found.prefix == "x = '😋"
    assert found.range == span(0, column, column)


@pytest.mark.parametrize(
    ("text", "line", "character", "prefix", "where"),
    [
        ("ab\r\ncd", 0, 99, "ab", (0, 2)),
        ("ab\ncd", 99, 0, "ab\ncd", (1, 2)),
        ("ab\n", 1, 5, "ab\n", (1, 0)),
        ("", 4, 4, "", (0, 0)),
    ],
)
async def test_a_cursor_outside_is_clamped(
    text: str, line: int, character: int, prefix: str, where: tuple[int, int]
) -> None:
    found = await question(opened(text), params(line, character))
    assert found.prefix == prefix
    assert found.prefix + found.suffix == text
    assert found.range == span(where[0], where[1], where[1])


async def test_a_selected_menu_item_is_applied_to_the_text() -> None:
    selected = types.SelectedCompletionInfo(span(0, 3, 5), "print")
    found = await question(opened("a; pr()\n"), params(0, 5, selected=selected))
    assert (found.prefix, found.suffix, found.head) == ("a; print", "()\n", "print")
    assert found.range == span(0, 3, 5)


async def test_switched_off() -> None:
    assert await silence(opened("x"), params(0, 0), enabled=False) == "disabled"


async def test_language_switched_off() -> None:
    off = {"disabled_languages": ("markdown", "python")}
    assert await silence(opened("x"), params(0, 0), **off) == "disabled"
    assert await question(opened("x", "no-such-language"), params(0, 0), **off)


@pytest.mark.parametrize("scheme", ["file:///project/", "untitled:"])
async def test_secrets_are_not_read(scheme: str) -> None:
    uri = scheme + ".env"
    assert await silence(opened("KEY=1", uri=uri), params(0, 0, uri)) == "excluded"


async def test_too_large() -> None:
    documents = opened("x" * 2000)
    assert await silence(documents, params(0, 0), max_file_mb=0.001) == "too-large"
    assert await question(documents, params(0, 0), max_file_mb=0.002)


@pytest.mark.parametrize("text", ["\x7fELF\0\0\0", "\ufffd" * 3 + "ab"])
async def test_binary(text: str) -> None:
    assert await silence(opened(text), params(0, 1)) == "binary"


async def test_a_few_undecodable_characters_are_no_binary() -> None:
    assert await question(opened("name = 'J\ufffdrg'\n" * 3), params(1, 4))


async def test_never_opened_but_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "b.py"
    path.write_bytes("é = 1\r\nb".encode())
    found = await question(Documents(), params(1, 1, path.as_uri()))
    assert (found.prefix, found.suffix, found.path) == ("é = 1\r\nb", "", str(path))


@pytest.mark.parametrize(
    ("content", "reason"), [(b"\xff\xfe\x00", "binary"), (b"x" * 1001, "too-large")]
)
async def test_never_opened_and_not_usable(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "b.py"
    path.write_bytes(content)
    assert await silence(Documents(), params(0, 0, path.as_uri()), max_file_mb=0.001) == reason


@pytest.mark.parametrize("name", ["gone.py", ""])
async def test_never_opened_and_no_file(tmp_path: Path, name: str) -> None:
    uri = (tmp_path / name).as_uri()
    assert await silence(Documents(), params(0, 0, uri)) == "no-document"


async def test_never_opened_and_no_path() -> None:
    assert await silence(Documents(), params(0, 0, "untitled:Untitled-1")) == "no-document"


def test_a_long_prefix_is_cut_at_a_line() -> None:
    document = Document("".join(f"line {number:05}\n" for number in range(20_000)))
    prefix = before(document, (15_000, 4))
    assert prefix.startswith("line ")
    assert prefix.endswith("line 14999\nline")
    assert PREFIX_CHARACTERS - PREFIX_STEP <= len(prefix) <= PREFIX_CHARACTERS + PREFIX_STEP


def test_the_cut_moves_rarely_while_typing() -> None:
    document = Document("".join(f"line {number:05}\n" for number in range(20_000)))
    starts = []
    for _ in range(3000):
        place = (15_000, len(document.lines[15_000]) - 1)
        document.replace(place, place, "some typing")
        place = (15_000, len(document.lines[15_000]) - 1)
        starts.append(before(document, place)[:10])
    changes = sum(old != new for old, new in pairwise(starts))
    assert changes == 3000 * len("some typing") // PREFIX_STEP


def test_a_line_longer_than_the_window() -> None:
    document = Document("short\n" + "x" * 200_000)
    prefix = before(document, (1, 190_000))
    assert set(prefix) == {"x"}
    assert PREFIX_CHARACTERS <= len(prefix) <= PREFIX_CHARACTERS + PREFIX_STEP
    assert before(document, (1, 190_001)) == prefix + "x"


def test_a_short_document_is_not_cut() -> None:
    text = "line\n" * 16_000
    document = Document(text)
    assert before(document, (16_000, 0)) == text


def test_the_suffix_is_cut_at_its_end() -> None:
    text = "ab\n" * 20_000
    document = Document(text)
    assert after(document, (1, 1)) == text[4:][:SUFFIX_CHARACTERS]
    assert after(document, (19_999, 1)) == "b\n"
