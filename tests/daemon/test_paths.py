import os
import stat
import tempfile
from pathlib import Path

import pytest

from umbrella_daemon import paths
from umbrella_daemon.settings import DaemonSettings, ModelSettings, Settings, SettingsError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runtime and temporary directories that are this test's own."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return runtime


@pytest.fixture
def no_run_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without /run/user."""
    if Path(f"/run/user/{os.getuid()}").exists():
        pytest.skip("this machine has a /run/user")
    monkeypatch.delenv("XDG_RUNTIME_DIR")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def fallback(tmp_path: Path) -> Path:
    return tmp_path / "tmp" / f"umbrella-{os.getuid()}"


def test_the_socket_lies_in_a_private_directory_of_the_runtime_directory(elsewhere: Path) -> None:
    path = paths.socket_path(Settings())
    assert path == elsewhere / "umbrella" / "daemon.sock"
    assert mode(path.parent) == 0o700
    assert paths.lock_path(Settings()) == elsewhere / "umbrella" / "daemon.lock"


def test_a_directory_left_open_to_others_is_closed(elsewhere: Path) -> None:
    (elsewhere / "umbrella").mkdir()
    (elsewhere / "umbrella").chmod(0o777)
    assert mode(paths.socket_path(Settings()).parent) == 0o700


def test_a_symlink_in_the_way_is_not_followed(elsewhere: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (elsewhere / "umbrella").symlink_to(tmp_path / "theirs")
    assert paths.socket_path(Settings()).parent != elsewhere / "umbrella"


@pytest.mark.usefixtures("no_run_user")
def test_without_a_runtime_directory_the_temporary_one_serves(tmp_path: Path) -> None:
    path = paths.socket_path(Settings())
    assert path.parent == fallback(tmp_path)
    assert mode(path.parent) == 0o700


@pytest.mark.usefixtures("no_run_user")
@pytest.mark.parametrize("name", ["missing", "x" * 90])
def test_a_runtime_directory_that_is_missing_or_too_deep_is_passed_over(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "missing":
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / name))
    assert paths.socket_path(Settings()).parent == fallback(tmp_path)


@pytest.mark.usefixtures("no_run_user")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_fallback_that_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    fallback(tmp_path).mkdir(mode=0o700)
    os.chown(fallback(tmp_path), 12345, 12345)
    with pytest.raises(
        SettingsError, match=r"belongs to another user; name a path .*daemon.socket"
    ):
        paths.socket_path(Settings())


def test_a_named_socket_is_taken_as_it_is(tmp_path: Path) -> None:
    named = tmp_path / "new" / "u.sock"
    settings = Settings(daemon=DaemonSettings(socket=str(named)))
    assert paths.socket_path(settings) == named
    assert mode(named.parent) == 0o700
    assert paths.lock_path(settings) == tmp_path / "new" / "u.lock"


def test_a_named_socket_that_cannot_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, why in (("x" * 100, "too long"), ("file/u.sock", "cannot be made")):
        with pytest.raises(SettingsError, match=rf"daemon.socket = .*{why}"):
            paths.socket_path(Settings(daemon=DaemonSettings(socket=str(tmp_path / name))))


def test_files_of_the_user_lie_where_the_platform_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    assert paths.config_path().name == "config.toml"
    assert paths.models_directory(Settings()).name == "models"
    assert paths.log_path().parent.is_dir()
    assert mode(paths.log_path().parent) == 0o700
    named = Settings(models=ModelSettings(directory="~/weights"))
    assert paths.models_directory(named) == Path.home() / "weights"
