"""Shows how far something is: a bar on a terminal, a line now and then elsewhere.

Knows nothing of what is under way.
"""

import re
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

LINE_EVERY_PERCENT: Final = 25
_NUMBERS: Final = re.compile(r"[\d.,]+")


class ProgressDisplay:
    """A context manager; `show` what is being done and how much of it, as often as you like."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: tuple[str, int] | None = None
        self._task: TaskID | None = None
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[percent]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Take over the last line of a terminal."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the line back."""
        if self._console.is_terminal:
            self._bar.stop()

    def show(self, message: str, percent: int | None = None) -> None:
        """Say what is being done; `percent` is None where the length of the way is unknown."""
        if not self._console.is_terminal:
            self._print(message, percent)
            return
        if self._task is None:
            self._task = self._bar.add_task(message, total=100, percent="")
        self._bar.update(
            self._task,
            description=message,
            total=None if percent is None else 100,
            completed=percent or 0,
            percent="" if percent is None else f"{percent} %",
            refresh=True,
        )

    def _print(self, message: str, percent: int | None) -> None:
        said = (_NUMBERS.sub("", message), (percent or 0) // LINE_EVERY_PERCENT)
        if said != self._said:
            self._said = said
            share = "" if percent is None else f" {percent} %"
            self._console.print(f"{message}{share}", markup=False, highlight=False)
