import errno
import os
import threading
from pathlib import Path

import pytest

from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress
from umbrella_engine.sources.disk import explained, in_mb, locked, replace_file, require_room


@pytest.mark.parametrize(
    ("size", "text"),
    [(900, "1 kB"), (92_871_040, "93 MB"), (4_100_000_000, "4.1 GB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert in_mb(size) == text


def test_too_little_room_says_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        require_room(tmp_path / "not" / "yet", 10**18, "the model")
    said = str(caught.value)
    assert said.startswith("the model needs 1000000000.0 GB in ")
    assert "are free; nothing new was kept: free some space" in said
    require_room(tmp_path, 1, "the model")


def test_a_full_disk_is_told_from_other_trouble(tmp_path: Path) -> None:
    with (
        pytest.raises(WeightsError, match="disk became full while writing x"),
        explained(tmp_path, "x"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(WeightsError, match=r"x cannot be stored in .*Permission denied"),
        explained(tmp_path, "x"),
    ):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def test_whoever_waits_for_a_lock_says_so(tmp_path: Path) -> None:
    waiting = threading.Event()
    order: list[str] = []

    def report(progress: Progress) -> None:
        assert "waiting for another process" in progress.message
        waiting.set()

    def second() -> None:
        with locked(tmp_path, "x", report):
            order.append("second")

    with locked(tmp_path, "x", report):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_replaced_file_is_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", b"old")
    replace_file(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"
