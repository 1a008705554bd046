"""The daemon's log: one file with rotation, one line a request, readable by this user only."""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 2 * 2**20
OLD_FILES: Final = 2
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def open_log(path: Path, level: str) -> None:
    """Send our log at `level` to `path`, and warnings of the libraries."""
    before = os.umask(0o077)
    try:
        handler = _LogFile(path, maxBytes=MAX_BYTES, backupCount=OLD_FILES, encoding="utf-8")
    finally:
        os.umask(before)
    handlers: list[logging.Handler] = [handler]
    if not handler.is_stderr:  # run by hand
        handlers.append(logging.StreamHandler())
    logging.basicConfig(level=logging.WARNING, format=FORMAT, handlers=handlers, force=True)
    logging.captureWarnings(True)
    for name in ("umbrella_daemon", "umbrella_engine"):
        logging.getLogger(name).setLevel(level.upper())


class _LogFile(RotatingFileHandler):
    """A rotating file; where standard error is that file, it moves along."""

    def __init__(self, path: Path, **options: object) -> None:
        super().__init__(path, **options)  # type: ignore[arg-type]
        path.chmod(0o600)
        try:
            self.is_stderr = os.path.samestat(os.fstat(sys.stderr.fileno()), path.stat())
        except (OSError, ValueError, AttributeError):  # there is no standard error
            self.is_stderr = True

    def doRollover(self) -> None:
        super().doRollover()
        if self.is_stderr and self.stream is not None:
            os.dup2(self.stream.fileno(), 2)
