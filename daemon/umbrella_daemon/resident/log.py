"""The daemon's log: one file with rotation, one line a request, readable by this user only."""

import io
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
    file = _LogFile(path, maxBytes=MAX_BYTES, backupCount=OLD_FILES, encoding="utf-8")
    handlers: list[logging.Handler] = [file]
    if not file.is_stderr:  # run by hand
        handlers.append(logging.StreamHandler())
    logging.basicConfig(level=logging.WARNING, format=FORMAT, handlers=handlers, force=True)
    logging.captureWarnings(True)
    for name in ("umbrella_daemon", "umbrella_engine"):
        logging.getLogger(name).setLevel(level.upper())


class _LogFile(RotatingFileHandler):
    """A rotating file; where standard error is that file, it moves along."""

    def _open(self) -> io.TextIOWrapper:
        stream = super()._open()
        os.fchmod(stream.fileno(), 0o600)
        return stream

    @property
    def is_stderr(self) -> bool:
        """Whether what is written to standard error lands in this file."""
        try:
            return os.path.samestat(os.fstat(sys.stderr.fileno()), Path(self.baseFilename).stat())
        except (OSError, ValueError, AttributeError):  # there is no standard error
            return True

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Look at the size alone; the base class formats every line a second time for it."""
        return self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self.maxBytes

    def doRollover(self) -> None:
        """Begin a new file."""
        moves = self.is_stderr
        super().doRollover()
        if moves and self.stream is not None:
            os.dup2(self.stream.fileno(), sys.stderr.fileno())
