"""Files around a document that may be copied from, where the user asked for it.

Promises: only files of the document's own kind, in its git repository, that may be read; the
nearest folders first, the latest changed first among them; bounded in size. Knows no engine.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from umbrella_daemon.scope import repository

MAX_FOLDERS: Final = 2000  # looked into
MAX_FILE_BYTES: Final = 60_000  # larger files are mostly made by programs
MAX_BYTES: Final = 200_000  # of all files together: some 55 000 tokens

Allowed = Callable[[str], bool]  # whether the file of that path may be read


def files_around(path: Path, allowed: Allowed) -> Iterator[tuple[Path, str]]:
    """Give other files of the repository of `path` with their texts; nothing outside of one."""
    root = repository(path) if path.suffix else None
    left = MAX_BYTES
    for found in _nearest_first(root, path, allowed) if root else ():
        with suppress(OSError, UnicodeDecodeError):
            text = found.read_text("utf-8")
            left -= len(text.encode())
            if left < 0:
                return
            yield found, text


def _nearest_first(root: Path, path: Path, allowed: Allowed) -> list[Path]:
    ranked: list[tuple[int, float, Path]] = []
    for folder in _folders(root, path.suffix, allowed):
        near = -len(os.path.commonpath([folder, path.parent]))
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                kept = entry.name.endswith(path.suffix) and entry.path != str(path)
                if kept and entry.is_file(follow_symlinks=False) and allowed(entry.path):
                    about = entry.stat(follow_symlinks=False)
                    if 0 < about.st_size <= MAX_FILE_BYTES:
                        ranked.append((near, -about.st_mtime, Path(entry.path)))
    return [found for _, _, found in sorted(ranked)]


def _folders(root: Path, kind: str, allowed: Allowed) -> Iterator[Path]:
    """Give folders from the root down, none that is hidden or whose files are kept out."""
    waiting = [root]
    for _ in range(MAX_FOLDERS):
        if not waiting:
            return
        folder = waiting.pop(0)
        yield folder
        with suppress(OSError), os.scandir(folder) as entries:
            waiting += [
                Path(entry.path)
                for entry in entries
                if not entry.name.startswith(".")
                and entry.is_dir(follow_symlinks=False)
                and allowed(f"{entry.path}/any{kind}")
            ]
