from pathlib import Path

import pytest

from umbrella_daemon import scope
from umbrella_daemon.scope import Scope, refusal, repository
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Reason


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a few ignore files."""
    write(tmp_path / ".gitignore", "# generated\n\nbuild/\n*.gen.py\n/top.py\n!\n")
    write(tmp_path / "src" / ".gitignore", "local.py\n!kept.gen.py\n")
    (tmp_path / ".git").mkdir()
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def reason(path: Path | str, language: str = "python", **settings: object) -> str:
    found = refusal(str(path), language, CompletionSettings(**settings))  # type: ignore[arg-type]
    return found.reason if found else ""


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("src/main.py", False),
        ("build/main.py", True),
        ("deep/build/a/b.py", True),
        ("a.gen.py", True),
        ("src/a.gen.py", True),
        ("src/kept.gen.py", False),
        ("kept.gen.py", True),
        ("src/local.py", True),
        ("local.py", False),
        ("top.py", True),
        ("src/top.py", False),
    ],
)
def test_gitignore_is_read_as_git_does(project: Path, name: str, ignored: bool) -> None:
    assert reason(project / name) == (Reason.IGNORED if ignored else "")
    assert reason(project / name, gitignore=False) == ""


def test_the_reason_names_file_and_line(project: Path) -> None:
    found = refusal(str(project / "build" / "a.py"), "python", CompletionSettings())
    assert found is not None
    assert found.detail.endswith(f"is ignored by {project / '.gitignore'} (build/)")


def test_umbrellaignore_has_the_last_word_in_and_out_of_repositories(project: Path) -> None:
    write(project / ".umbrellaignore", "private/\n!a.gen.py\n")
    assert reason(project / "private" / "a.py") == Reason.IGNORED
    assert reason(project / "private" / "a.py", gitignore=False) == Reason.IGNORED
    assert reason(project / "a.gen.py") == ""
    outside = project / "other"
    write(outside / ".umbrellaignore", "*\n")
    assert reason(outside / "deep" / "x.py") == Reason.IGNORED


def test_ignore_files_above_the_repository_are_not_of_git(project: Path) -> None:
    inner = project / "build" / "inner"
    (inner / ".git").mkdir(parents=True)
    assert repository(inner / "src" / "a.py") == inner
    assert reason(inner / "src" / "a.py") == ""


def test_without_a_repository_gitignore_means_nothing(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*.py\n")
    assert reason(tmp_path / "a.py") == ""


def test_a_changed_ignore_file_holds_at_once(project: Path) -> None:
    assert reason(project / "new.py") == ""
    write(project / ".gitignore", "new.py\n")
    assert reason(project / "new.py") == Reason.IGNORED
    (project / ".gitignore").unlink()
    assert reason(project / "new.py") == ""


def test_ignore_files_that_cannot_be_used_are_as_if_they_were_not_there(project: Path) -> None:
    (project / ".umbrellaignore").mkdir()
    assert reason(project / "a.py") == ""
    (project / ".gitignore").write_bytes(b"\xff\xfe\x00\\\n!\na.py\n" + b"# \n" * 500_000)
    assert reason(project / "a.py") == ""  # far too long for an ignore file
    (project / ".gitignore").write_bytes(b"\xff\xfe\x00\\\n!\na.py\n")
    assert reason(project / "a.py") == Reason.IGNORED


@pytest.mark.parametrize(
    ("path", "globs", "ignored"),
    [
        ("/p/a.min.js", ("*.min.js",), True),
        ("/p/vendor/a.js", ("vendor/",), True),
        ("/p/a.js", ("*.js", "!a.js"), False),
        ("/p/a.js", ("!", "# *"), False),
        ("untitled:notes.js", ("*.js",), True),
    ],
)
def test_globs_of_the_settings(path: str, globs: tuple[str, ...], ignored: bool) -> None:
    assert reason(path, disabled_globs=globs) == (Reason.IGNORED if ignored else "")


def test_languages_and_secrets() -> None:
    assert reason("/p/a.py", disabled_languages=("python",)) == Reason.DISABLED
    assert reason("/p/.env") == Reason.EXCLUDED
    assert reason("untitled:.env") == Reason.EXCLUDED
    assert reason("") == ""


def test_a_link_to_a_file_with_secrets_is_one(tmp_path: Path) -> None:
    write(tmp_path / ".env", "A=1")
    (tmp_path / "notes.txt").symlink_to(tmp_path / ".env")
    assert reason(tmp_path / "notes.txt") == Reason.EXCLUDED


def test_verdicts_are_looked_up_anew_after_a_while(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = Scope(CompletionSettings())
    path = str(project / "new.py")
    assert verdicts.refusal(path, "python") is None
    write(project / ".gitignore", "new.py\n")
    assert verdicts.refusal(path, "python") is None
    assert verdicts.refusal(str(project / ".env"), "python") is not None
    monkeypatch.setattr(scope, "VERDICT_SECONDS", 0.0)
    assert verdicts.refusal(path, "python") is not None
