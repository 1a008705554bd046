"""Where the daemon's socket, lock, log, settings and weights lie on this machine.

Promises directories for the socket that only this user can enter. Knows nothing of what is written
into any of them.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import platformdirs

from umbrella_daemon.layers import SettingsError
from umbrella_daemon.settings import Settings

NAME: Final = "umbrella"
# The kernel takes 104 (macOS) or 108 (Linux) bytes, the closing zero included.
MAX_SOCKET_BYTES: Final = 100


def socket_path(settings: Settings) -> Path:
    """Give the daemon's Unix socket; its directory exists afterwards and is ours.

    Raises SettingsError where there is no place for it.
    """
    if settings.daemon.socket:
        return _named_socket(settings.daemon.socket)
    for directory in _runtime_directories():
        path = directory / "daemon.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_BYTES and _problem(directory) is None:
            return path
    fallback = Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"
    if problem := _problem(fallback):
        raise SettingsError(
            f"there is no safe directory for the daemon's socket: {fallback} {problem}; name a "
            "path in a directory of yours with the setting daemon.socket."
        )
    return fallback / "daemon.sock"


def lock_path(settings: Settings) -> Path:
    """Give the file whose lock the one daemon of a socket holds."""
    return socket_path(settings).with_suffix(".lock")


def log_path() -> Path:
    """Give the daemon's log file; its directory exists afterwards."""
    directory = platformdirs.user_log_path(NAME, appauthor=False)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory / "daemon.log"


def chat_history_path() -> Path:
    """Give the file of what was typed in chats, whether it exists or not."""
    return platformdirs.user_state_path(NAME, appauthor=False) / "chat-history"


def recordings_directory() -> Path:
    """Give the directory of recorded typing, whether it exists or not."""
    return platformdirs.user_state_path(NAME, appauthor=False) / "recordings"


def config_path() -> Path:
    """Give the user's settings file, whether it exists or not."""
    return platformdirs.user_config_path(NAME, appauthor=False) / "config.toml"


def models_directory(settings: Settings) -> Path:
    """Give the directory where weights are kept, whether it exists or not."""
    if settings.models.directory:
        return Path(settings.models.directory).expanduser().absolute()
    return platformdirs.user_cache_path(NAME, appauthor=False) / "models"


def tunings_directory() -> Path:
    """Give the directory of what `umbrella tune` measured, whether it exists or not."""
    return platformdirs.user_data_path(NAME, appauthor=False) / "tuning"


def api_token_path() -> Path:
    """Give the file with the API's token, whether it exists or not."""
    return platformdirs.user_config_path(NAME, appauthor=False) / "api-token"


def bench_directory() -> Path:
    """Give the directory of results that `umbrella bench report` keeps; it may not exist."""
    return platformdirs.user_data_path(NAME, appauthor=False) / "bench"


def _named_socket(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if len(os.fsencode(path)) > MAX_SOCKET_BYTES:
        raise SettingsError(
            f"daemon.socket = {str(path)!r} is too long for a Unix socket; it takes a path of at "
            f"most {MAX_SOCKET_BYTES} bytes."
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"daemon.socket = {str(path)!r}: its directory cannot be made ({error.strerror}); it "
            "takes a path in a directory of yours."
        ) from None
    return path


def _runtime_directories() -> Iterator[Path]:
    # Asked in this order by every process of the user, with XDG_RUNTIME_DIR set or not, so that
    # an editor on the desktop and one over ssh meet at the same socket.
    if home := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(home).absolute() / NAME
    if sys.platform == "darwin":
        yield platformdirs.user_cache_path(NAME, appauthor=False).with_name(f"{NAME}-run")
    else:
        yield Path(f"/run/user/{os.getuid()}") / NAME


def _problem(directory: Path) -> str | None:
    """Make `directory` for this user alone; say what is wrong with it where that fails."""
    try:
        if directory.parent.is_dir():
            directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode):
            return "is not a directory"
        if found.st_uid != os.getuid():
            return "belongs to another user"
        if stat.S_IMODE(found.st_mode) != 0o700:
            directory.chmod(0o700)
    except OSError as error:
        return f"cannot be used ({error.strerror})"
    return None if os.access(directory, os.W_OK | os.X_OK) else "cannot be written to"
