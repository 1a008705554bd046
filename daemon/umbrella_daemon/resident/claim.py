"""The right to be the one daemon of a socket.

The right is a lock that the kernel takes back when the process dies, however it dies; so a socket
found by whoever holds the lock is a leftover and is replaced.
"""

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from umbrella_daemon.layers import SettingsError

BACKLOG: Final = 512  # clients that knock while torch holds the interpreter

Identity = tuple[int, int, int]


class Claim:
    """A lock, and the socket bound under it."""

    def __init__(self, path: Path, lock: Path) -> None:
        self.path = path
        self._lock = FileLock(lock, mode=0o600)
        self._bound: Identity | None = None

    def take(self) -> bool:
        """Take the lock; False when another daemon has it. Raises SettingsError."""
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise SettingsError(
                f"the daemon's lock {self._lock.lock_file} cannot be taken ({error.strerror}); "
                "name a socket in a directory of yours with the setting daemon.socket."
            ) from None
        return True

    def bind(self) -> socket.socket:
        """Listen at the path, mode 0600, in place of what a dead daemon left.

        Raises SettingsError where there can be none.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._remove_leftover()
            listener.bind(str(self.path))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            raise SettingsError(
                f"the daemon's socket {self.path} cannot be made ({error.strerror}); name another "
                "path with the setting daemon.socket."
            ) from None
        finally:
            os.umask(before)
        self._bound = _identity(self.path)
        return listener

    def holds(self) -> bool:
        """Whether the socket at the path is still ours: nobody removed or replaced it."""
        try:
            return _identity(self.path) == self._bound
        except OSError:
            return False

    def withdraw(self) -> None:
        """Remove the socket if it is still ours; the lock stays until `release`."""
        if self.holds():
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def _remove_leftover(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise FileExistsError(0, "a file that is no socket is there; it was kept")
        self.path.unlink()


def _identity(path: Path) -> Identity:
    # With the time of binding, because a freed inode number is given to the next socket.
    found = path.lstat()
    return found.st_dev, found.st_ino, found.st_mtime_ns
