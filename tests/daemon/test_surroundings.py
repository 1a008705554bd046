"""Which files around a document are read, and that the engine knows them only where asked for."""

import os
from pathlib import Path

import pytest

from tests.daemons import complete
from umbrella_daemon.resident import surroundings
from umbrella_daemon.resident.memory import Memory
from umbrella_daemon.resident.surroundings import files_around
from umbrella_daemon.scope import refusal
from umbrella_daemon.settings import CompletionSettings
from umbrella_engine.scripted import ScriptedEngine


def allowed(path: str) -> bool:
    return refusal(path, "", CompletionSettings()) is None


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A document of a repository with files that count and files that do not."""
    root = tmp_path / "repository"
    texts = {
        "src/near/document.py": "this one",
        "src/near/old.py": "old",
        "src/near/new.py": "new",
        "src/other.py": "other",
        "far.py": "far",
        "src/near/readme.md": "another kind",
        "src/near/credentials.json": "secret",
        "far.json": "json",
        "built/made.py": "ignored",
        ".hidden/x.py": "hidden",
        "src/near/binary.py": None,
        "src/near/empty.py": "",
        ".gitignore": "built/\n",
    }
    for name, text in texts.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\xff\xfe" if text is None else text.encode())
    (root / ".git").mkdir()
    (tmp_path / "outside.py").write_text("outside")
    (root / "src/near/link.py").symlink_to(tmp_path / "outside.py")
    os.utime(root / "src/near/old.py", (1, 1))
    return root / "src/near/document.py"


def test_near_files_of_the_kind_come_first_and_none_that_is_kept_out(document: Path) -> None:
    found = [text for _, text in files_around(document, allowed)]
    assert found == ["new", "old", "other", "far"]
    found = [text for _, text in files_around(document.with_name("a.json"), allowed)]
    assert found == ["json"]
    assert not list(files_around(document.parents[3] / "outside.py", allowed))
    assert not list(files_around(document.with_name("Makefile"), allowed))


def test_size_is_bounded(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "MAX_FILE_BYTES", 4)
    assert [text for _, text in files_around(document, allowed)] == ["new", "old", "far"]
    monkeypatch.setattr(surroundings, "MAX_BYTES", 6)
    assert [text for _, text in files_around(document, allowed)] == ["new", "old"]


def test_the_engine_is_told_once_the_nearest_last(document: Path) -> None:
    engine, memory = ScriptedEngine(lambda _: ""), Memory(allowed)
    memory.serve(engine)
    for _ in range(2):
        memory.watch(complete(1, "text", document=document.as_uri(), path=str(document)))
        memory._encoder.submit(int).result()
    names = [Path(name).name for name in engine.remembered]
    assert names == ["far.py", "other.py", "old.py", "new.py", "document.py"]
    memory.close()


@pytest.mark.parametrize("asked", [True, False])
def test_nobody_looks_around_unasked(document: Path, asked: bool) -> None:
    engine, memory = ScriptedEngine(lambda _: ""), Memory(allowed if asked else None)
    memory.serve(engine)
    request = complete(1, "text", document=document.as_uri(), path=str(document), context=not asked)
    memory.watch(request)
    memory._encoder.submit(int).result()
    assert list(engine.remembered) == [document.as_uri()]
    memory.close()
