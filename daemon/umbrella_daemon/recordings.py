"""Files of recorded typing: written by the language server of a window, listed for the user.

A file that is being written is locked by its writer, so that others can tell, and the lock goes
with the process. Files are 0600 in a directory that only this user can enter.
"""

import fcntl
import os
from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec

SUFFIX = ".jsonl"


class RecordingError(Exception):
    """A recording cannot go on; what was written before is whole."""


class Recording:
    """A file that grows by whole lines up to a size; made by `begin`."""

    def __init__(self, path: Path, descriptor: int, max_bytes: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._size = 0

    @classmethod
    def begin(cls, folder: Path, max_bytes: int) -> Self:
        """Make a new file in `folder`. Raises RecordingError."""
        name = f"typing-{datetime.now():%Y%m%d-%H%M%S-%f}-{os.getpid()}{SUFFIX}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise RecordingError(f"{folder / name} cannot be made ({error.strerror})") from None
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return cls(folder / name, descriptor, max_bytes)

    def append(self, lines: bytes) -> None:
        """Write lines, all or none of them. Raises RecordingError."""
        if self._size + len(lines) > self._max_bytes:
            raise RecordingError(f"it is as large as recording.max_mb = {self._max_bytes / 1e6:g}")
        try:
            if os.write(self._descriptor, lines) < len(lines):
                os.ftruncate(self._descriptor, self._size)
                raise RecordingError("the disk is full")
        except OSError as error:
            raise RecordingError(f"it cannot be written ({error.strerror})") from None
        self._size += len(lines)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)


class Found(msgspec.Struct, frozen=True):
    """A file of recorded typing on disk."""

    path: Path
    size: int  # bytes
    under_way: bool  # a window is writing it


def found(folder: Path) -> list[Found]:
    """Give the recordings in `folder`, oldest first."""
    files = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            with path.open("rb") as file:
                files.append(Found(path, os.fstat(file.fileno()).st_size, _locked(file.fileno())))
        except OSError:  # gone meanwhile, or not ours to read
            continue
    return files


def under_way(folder: Path) -> list[Path]:
    """Give the recordings in `folder` that windows are writing now."""
    return [one.path for one in found(folder) if one.under_way]


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
