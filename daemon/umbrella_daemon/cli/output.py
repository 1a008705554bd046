"""The consoles that commands print to."""

import os
import sys

from rich.console import Console

PIPED_WIDTH = 120


def console(*, stderr: bool = False) -> Console:
    """Give standard output or error; where it is no terminal, lines are not cut at 80 columns."""
    stream = sys.stderr if stderr else sys.stdout
    known = stream.isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, width=None if known else PIPED_WIDTH)
