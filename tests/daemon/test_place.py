from pathlib import Path

import pytest

from umbrella_daemon.lsp.context import Question, Silence
from umbrella_daemon.place import Place, PlaceError, question_at
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Reason

SETTINGS = CompletionSettings(disabled_languages=("markdown",), max_file_mb=0.001)
TEXT = "x = '𐐷é'\r\ny = 2\r\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a b.py"
    path.write_bytes(TEXT.encode())
    return path


async def question(place: Place, language: str | None = None) -> Question:
    found = await question_at(place, language, SETTINGS)
    assert isinstance(found, Question), found
    return found


@pytest.mark.parametrize(
    ("line", "column", "before"),
    [
        (1, 1, ""),
        (1, 7, "x = '𐐷"),
        (1, None, "x = '𐐷é'"),
        (2, 3, "x = '𐐷é'\r\ny "),
        (3, 1, "x = '𐐷é'\r\ny = 2\r\n"),
    ],
)
async def test_columns_count_characters(
    source: Path, line: int, column: int | None, before: str
) -> None:
    found = await question(Place(source, line, column))
    assert found.prefix == before
    assert found.prefix + found.suffix == TEXT


async def test_the_question_is_that_of_an_editor(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    found = await question(Place(Path(source.name), 1))
    assert found.path == str(source)
    assert found.document == source.as_uri()
    assert found.explicit
    assert found.language == "python"
    assert (await question(Place(source, 1), "lua")).language == "lua"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (".env", b"TOKEN=1", Reason.EXCLUDED),
        ("a.bin", b"\xff\xfe\x00\x01", Reason.BINARY),
        ("a.py", b"a\0b", Reason.BINARY),
        ("a.md", b"# text", Reason.DISABLED),
        ("a.py", b"x = 1\n" * 1000, Reason.TOO_LARGE),
    ],
)
async def test_the_rules_of_the_language_server_hold(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    found = await question_at(Place(tmp_path / name, 1, 1), None, SETTINGS)
    assert isinstance(found, Silence)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [(4, 1, "has 3 lines, not 4"), (2, 7, "has 5 characters; .* in columns 1 to 6, not 7")],
)
async def test_places_outside_the_file_are_refused(
    source: Path, line: int, column: int, message: str
) -> None:
    with pytest.raises(PlaceError, match=message):
        await question_at(Place(source, line, column), None, SETTINGS)


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"none\.py cannot be read: No such file"):
        await question_at(Place(tmp_path / "none.py", 1), None, SETTINGS)


async def test_an_empty_file_has_one_place(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    assert (await question(Place(tmp_path / "a.py", 1))).prefix == ""
