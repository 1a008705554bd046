"""What is typed while an answer is written is not shown in the middle of it; it waits."""

import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unseen_typing() -> Iterator[None]:
    """Have the terminal keep what is typed for the next prompt; Ctrl-C works as ever."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    unseen = list(before)
    unseen[0] &= ~termios.ICRNL  # Enter stays Enter
    unseen[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(descriptor, termios.TCSANOW, unseen)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
