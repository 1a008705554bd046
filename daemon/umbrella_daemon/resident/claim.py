"""The right to be the one daemon of a socket.

The right is a lock that the kernel takes back when the process dies, however it dies; so a socket
found by whoever holds the lock is a leftover and is replaced.
"""

import contextlib
import os
import socket
import stat
from pathlib import Path

from filelock import FileLock, Timeout

from umbrella_daemon.layers import SettingsError


class Claim:
    """A lock, and the socket bound under it."""

    def __init__(self, path: Path, lock: Path) -> None:
        self.path = path
        self._lock = FileLock(lock, mode=0o600)
        self._bound: tuple[int, int] | None = None  # device and inode of our socket

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
        """Give our listening socket's file, 0600, in place of what a dead daemon left.

        Raises SettingsError where there can be none.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._remove_leftover()
            listener.bind(str(self.path))
        except OSError as error:
            listener.close()
            raise SettingsError(
                f"the daemon's socket {self.path} cannot be made ({error.strerror}); name another "
                "path with the setting daemon.socket."
            ) from None
        finally:
            os.umask(before)
        found = self.path.lstat()
        self._bound = found.st_dev, found.st_ino
        return listener

    def holds(self) -> bool:
        """Whether the socket at the path is still ours: nobody removed or replaced it."""
        try:
            found = self.path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._bound

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
