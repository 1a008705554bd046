"""What is kept of a measurement."""

import hashlib
from pathlib import Path

import pytest

from umbrella_daemon.bench.result import BenchError, Result, Subject, read, write
from umbrella_daemon.bench.stamp import hashed, stamp

SUBJECT = Subject("pair", "target", "draft", "cpu", "bfloat16")


def result() -> Result:
    row: dict[str, float | int | str | None] = {"name": "umbrella", "tokens": 7, "rate": 1.5}
    return Result("code", stamp(gpu=False), SUBJECT, "umbrella bench code", (row,))


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(result(), tmp_path / "deep" / "one.json")
    found = read(tmp_path / "deep" / "one.json")
    assert found.row("umbrella")["tokens"] == 7
    assert found.subject == SUBJECT
    with pytest.raises(KeyError):
        found.row("other")


def test_what_is_no_result_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    with pytest.raises(BenchError, match="cannot be read: No such file"):
        read(path)
    path.write_text("{}")
    with pytest.raises(BenchError, match="is no result of `umbrella bench`"):
        read(path)
    write(result(), path)
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(BenchError, match="is of format 99"):
        read(path)


def test_where_a_result_cannot_go_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="line of JSON printed before"):
        write(result(), tmp_path / "file" / "one.json")


def test_a_stamp_names_the_machine() -> None:
    found = stamp(gpu=False, commit="abc")
    assert found.machine.cpu
    assert found.machine.cores >= 1
    assert found.machine.name.endswith(f"{found.machine.cores} cores")
    assert found.commit
    assert found.versions["torch"]
    assert found.date.endswith("+00:00")


def test_weights_are_known_by_their_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"weights")
    known = hashed("target", path)
    assert (known.name, known.bytes) == ("a.gguf", 7)
    assert known.sha256 == hashlib.sha256(b"weights").hexdigest()
