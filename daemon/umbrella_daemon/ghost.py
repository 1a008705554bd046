"""A suggestion inside its file, as an editor shows it: ghost text at the cursor.

On a terminal the ghost is dim and italic; where styles do not reach it stands between « and ».
"""

from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.syntax import Syntax
from rich.text import Text

GHOST_STYLE: Final = "italic bright_black"
LINES_BEFORE: Final = 8
LINES_AFTER: Final = 4


class Ghost:
    """`insert` between `prefix` and `suffix`, of which it replaces the first `replace_after`."""

    def __init__(
        self, path: str, prefix: str, insert: str, suffix: str, replace_after: int = 0
    ) -> None:
        self._path = path
        self._prefix = prefix.replace("\r\n", "\n")
        self._insert = insert.replace("\r\n", "\n")
        self._suffix = suffix[replace_after:].replace("\r\n", "\n")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give a few lines around the cursor, numbered as in the file."""
        marks = ("", "") if console.color_system else ("«", "»")
        first = max(0, self._prefix.count("\n") - LINES_BEFORE)
        head = "".join(self._prefix.splitlines(keepends=True)[first:])
        tail = "".join(self._suffix.splitlines(keepends=True)[: LINES_AFTER + 1])
        shown = marks[0] + self._insert + marks[1]
        code = Syntax(
            "", Syntax.guess_lexer(self._path, head), theme="ansi_dark", background_color="default"
        )
        text = code.highlight(head + shown + tail.rstrip("\n"))
        text.rstrip()
        text.stylize(GHOST_STYLE, len(head), len(head) + len(shown))
        ghost_lines = shown.count("\n")
        cursor_line = head.count("\n")
        for index, line in enumerate(text.split("\n", allow_blank=True)):
            virtual = cursor_line < index <= cursor_line + ghost_lines
            number = first + index + 1 - max(0, min(index - cursor_line, ghost_lines))
            gutter = "     │ " if virtual else f"{number:4} │ "
            yield Text.assemble((gutter, "dim"), line)
