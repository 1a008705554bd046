import os
from pathlib import Path

import pytest

from umbrella_engine.sources import stamps
from umbrella_engine.sources.stamps import problem, read_stamp, sha256_of, stamp_path, write_stamp


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    (path / "a.bin").write_bytes(b"weights")
    (path / "b.json").write_bytes(b"{}")
    write_stamp(path, "recipe")
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files whose content is read."""
    names: list[str] = []

    def counted(path: Path) -> str:
        names.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(stamps, "sha256_of", counted)
    return names


def test_an_untouched_folder_is_trusted_without_reading_it(folder: Path, hashed: list[str]) -> None:
    assert problem(folder, "recipe") == ""
    assert hashed == []


def test_a_touched_file_is_read_once_and_trusted_again(folder: Path, hashed: list[str]) -> None:
    os.utime(folder / "a.bin", ns=(1, 1))
    assert problem(folder, "recipe") == ""
    assert hashed == ["a.bin"]
    assert problem(folder, "recipe") == ""
    assert hashed == ["a.bin"]


def test_changed_content_of_the_same_length_is_found(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"Weights")
    assert problem(folder, "recipe") == "has a damaged file, a.bin"


def test_another_length_is_found_without_reading(folder: Path, hashed: list[str]) -> None:
    (folder / "a.bin").write_bytes(b"weight")
    assert problem(folder, "recipe") == "has a damaged file, a.bin"
    assert hashed == []


def test_a_missing_file_is_found(folder: Path) -> None:
    (folder / "b.json").unlink()
    assert problem(folder, "recipe") == "lacks b.json"


def test_another_recipe_makes_it_stale(folder: Path) -> None:
    assert "another version" in problem(folder, "recipe 2")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 99, "recipe": "", "files": {}}']
)
def test_a_stamp_that_cannot_be_read_vouches_for_nothing(folder: Path, content: bytes) -> None:
    stamp_path(folder).write_bytes(content)
    assert read_stamp(folder) is None
    assert problem(folder, "recipe") != ""


def test_a_single_file_has_a_stamp_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"x" * 100)
    stamp = write_stamp(path, "recipe")
    assert stamp.files["m.gguf"].sha256 == sha256_of(path)
    assert problem(path, "recipe") == ""
