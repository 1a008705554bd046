from pathlib import Path

import pytest
from prompt_toolkit.history import InMemoryHistory

from umbrella_daemon.chat import history
from umbrella_daemon.chat.history import open_history


def test_what_is_typed_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "chat-history"
    opened, problem = open_history(path)
    opened.append_string("one\ntwo")
    assert problem == ""
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    again, _ = open_history(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(again.load_history_strings()) == ["one\ntwo"]


def test_without_a_file_nothing_is_kept() -> None:
    opened, problem = open_history(None)
    assert isinstance(opened, InMemoryHistory)
    assert problem == ""


def test_a_place_that_cannot_be_written_is_told_and_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    opened, problem = open_history(tmp_path / "state" / "chat-history")
    assert isinstance(opened, InMemoryHistory)
    assert "is not kept for later" in problem


def test_the_older_half_goes_where_there_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_BYTES", 1000)
    path = tmp_path / "chat-history"
    opened, _ = open_history(path)
    for number in range(40):
        opened.append_string(f"question {number}")
    again, _ = open_history(path)
    kept = list(again.load_history_strings())  # the newest first
    assert kept[0] == "question 39"
    assert 5 < len(kept) < 20
    assert kept[-1] == f"question {40 - len(kept)}"
    assert list(tmp_path.iterdir()) == [path]
