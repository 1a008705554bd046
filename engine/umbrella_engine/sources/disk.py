"""The disk that weights are kept on: room, locks, whole files or none.

Promises that a full or read-only disk becomes a `WeightsError` with numbers in it.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress, Report

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
ADVICE: Final = "free some space, or name a folder on another disk with models.directory"


def in_mb(n_bytes: int) -> str:
    """Write a size for people: "93 MB", "4.1 GB"."""
    if n_bytes >= 10**9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{n_bytes / 1e6:.0f} MB" if n_bytes >= 10**6 else f"{n_bytes / 1e3:.0f} kB"


def require_room(directory: Path, n_bytes: int, what: str) -> None:
    """Raise WeightsError unless the disk of `directory` has `n_bytes` free."""
    existing = directory
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < n_bytes:
        raise WeightsError(
            f"{what} needs {in_mb(n_bytes)} in {directory}, where {in_mb(free)} are free; "
            f"nothing new was kept: {ADVICE}"
        )


@contextmanager
def explained(directory: Path, what: str) -> Iterator[None]:
    """Turn an `OSError` while writing `what` below `directory` into a WeightsError."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise WeightsError(f"{what} cannot be stored in {directory}: {error}") from error
        free = shutil.disk_usage(directory).free if directory.exists() else 0
        raise WeightsError(
            f"the disk became full while writing {what} to {directory} ({in_mb(free)} are free "
            f"now that the unfinished file is removed; everything else is untouched): {ADVICE}"
        ) from error


@contextmanager
def locked(directory: Path, name: str, report: Report) -> Iterator[None]:
    """Hold the lock `name` of `directory`, so that one process at a time makes an artefact."""
    with explained(directory, "a lock file"):
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(Progress("downloading", f"waiting for another process that is getting {name}"))
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file as a whole or not at all."""
    unfinished = path.with_name(path.name + ".tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove(artefact: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if artefact.is_dir():
        shutil.rmtree(artefact)
    else:
        artefact.unlink(missing_ok=True)
