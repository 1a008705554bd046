"""What was typed in earlier chats, for the arrow keys: in a file that only its owner can read."""

import os
from pathlib import Path
from typing import Final

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

MAX_BYTES: Final = 2**20  # then the older half is forgotten
_ENTRY: Final = b"\n# "  # how each begins


def open_history(path: Path | None) -> tuple[History, str]:
    """Give the history at `path`, None: of this chat alone; and what went wrong, or ""."""
    if path is None:
        return InMemoryHistory(), ""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        _shorten(path)
    except OSError as error:
        return InMemoryHistory(), (
            f"What you type is not kept for later: {path} cannot be written ({error.strerror})."
        )
    return FileHistory(path), ""


def _shorten(path: Path) -> None:
    content = path.read_bytes()
    if len(content) <= MAX_BYTES:
        return
    start = content.find(_ENTRY, len(content) - MAX_BYTES // 2)
    partial = path.with_name(f"{path.name}.partial")
    partial.touch(mode=0o600)
    partial.write_bytes(content[start:] if start >= 0 else b"")
    partial.replace(path)
