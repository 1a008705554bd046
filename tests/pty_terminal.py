"""A program in a terminal of its own: a real pty, and its screen as a person reads it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

DEADLINE_SECONDS = 30.0


class _Screen(pyte.HistoryScreen):
    """Answers the questions that programs ask of terminals."""

    answer: Callable[[str], None]

    def write_process_input(self, data: str) -> None:
        self.answer(data)


class PtyTerminal:
    """`command` in a terminal of `rows` and `columns`."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        rows: int = 30,
        columns: int = 80,
    ) -> None:
        self._screen = _Screen(columns, rows, history=10_000, ratio=0.5)
        self._screen.answer = self.type
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.raw = b""  # all that was written to the terminal
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=directory,
            env={**environment, "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    @property
    def lines(self) -> list[str]:
        """What is on the screen, above it what was scrolled out of it."""
        with self._lock:
            columns = range(self._screen.columns)
            gone = [
                "".join(line[column].data for column in columns)
                for line in self._screen.history.top
            ]
            return [line.rstrip() for line in [*gone, *self._screen.display]]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)

    def wait_for(self, what: str | Callable[[str], bool]) -> None:
        """Wait until a text is there, or until it meets a condition."""
        met = what if callable(what) else (lambda text: what in text)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not met(self.text):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what!r} did not come about in:\n{self.text}")
            time.sleep(0.01)

    def ended(self) -> int:
        """Wait for the end of the program; give its exit status."""
        status = self.process.wait(DEADLINE_SECONDS)
        self._reader.join(DEADLINE_SECONDS)
        return status

    def close(self) -> None:
        """End the program and what it started in this terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(DEADLINE_SECONDS)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 2**16)
            except OSError:  # nobody has the other end any more
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)


@contextmanager
def pty_terminal(
    command: Sequence[str], environment: Mapping[str, str], directory: Path, **size: int
) -> Iterator[PtyTerminal]:
    """Open a terminal for a while."""
    terminal = PtyTerminal(command, environment, directory, **size)
    try:
        yield terminal
    finally:
        terminal.close()
