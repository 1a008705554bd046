"""Sessions of typing as files."""

from pathlib import Path

import pytest

from umbrella_daemon.typing_trace import (
    Ask,
    Change,
    Close,
    Focus,
    Header,
    Open,
    Trace,
    TraceError,
    first,
    mask,
    masked,
    read,
    write,
)

EVENTS = (
    Open(0.0, "a.py", "python", "x = 1\n"),
    Focus(5.0, "a.py", (0, 5)),
    Change(10.5, "a.py", (0, 5, 0, 5), "2"),
    Ask(10.5, "a.py", (0, 6)),
    Change(20.0, "a.py", None, "y", accepted=True),
    Ask(20.0, "a.py", (0, 1), by_key=True),
    Close(30.0, "a.py"),
)


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    trace = Trace(Header(source="recorded"), EVENTS)
    write(trace, tmp_path / "t.jsonl")
    assert read(tmp_path / "t.jsonl") == trace
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 1 + len(EVENTS)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "its first line does not say so"),
        ("{}", "is no typing trace"),
        ('{"type":"trace","kind":"other"}', "its first line does not say so"),
        ('{"type":"trace","format":9}', "is of format 9; this release reads 1"),
        ('{"type":"trace"}\n{"type":"dance"}', "is no typing trace"),
    ],
)
def test_what_is_no_trace_is_told(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(content)
    with pytest.raises(TraceError, match=told):
        read(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read"):
        read(tmp_path / "t.jsonl")


def test_the_beginning_of_a_trace_ends_with_an_ask() -> None:
    trace = Trace(Header(), EVENTS)
    assert first(trace, 1).events == EVENTS[:4]
    assert first(trace, 2) == first(trace, 3) == trace


def test_masked_text_has_the_same_shape_and_says_nothing() -> None:
    text = "def naïve_Größe(x1=42):\n\treturn '日本' + \"😀\"  # ok\n"
    hidden = mask(text)
    assert hidden == "def".replace("def", "xxx") + (
        " xxxxx_Xxxxx(x0=00):\n\txxxxxx 'xx' + \"XX\"  # xx\n"
    )
    assert len(hidden.encode("utf-16-le")) == len(text.encode("utf-16-le"))
    assert masked(EVENTS[3]) == EVENTS[3]
    opened = masked(EVENTS[0])
    assert isinstance(opened, Open)
    assert opened.text == "x = 0\n"
