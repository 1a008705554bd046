import pytest

from umbrella_daemon.lsp.positions import Units

TEXT = 'x="é😋"'  # 1, 1, 1, 2 and 4 bytes; the last but one character is two UTF-16 words


@pytest.mark.parametrize(("encoding", "units"), [("utf-8", 10), ("utf-16", 7), ("utf-32", 6)])
def test_count(encoding: str, units: int) -> None:
    assert Units(encoding).count(TEXT) == units


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_index_is_the_inverse_of_count(encoding: str) -> None:
    units = Units(encoding)
    for character in range(len(TEXT) + 1):
        assert units.index(TEXT, units.count(TEXT[:character])) == character


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("line", [TEXT, "ascii", ""])
def test_a_column_past_the_end_is_the_end(encoding: str, line: str) -> None:
    assert Units(encoding).index(line, 1000) == len(line)


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 7), ("utf-16", 5)])
def test_a_column_inside_a_character_is_its_start(encoding: str, column: int) -> None:
    assert TEXT[Units(encoding).index(TEXT, column) :] == '😋"'
