"""A text followed edit by edit, as lines without their ends."""

from umbrella_daemon.lsp.positions import Units
from umbrella_daemon.typing_trace import Range

UNITS = Units("utf-16")


class Text:
    """The text of one document."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")

    def change(self, span: Range | None, text: str) -> None:
        """Replace a part, or all where there is no `span`."""
        if span is None:
            self.lines = text.split("\n")
            return
        first, start, last, end = span
        head, tail = self.lines[first], self.lines[last]
        whole = head[: UNITS.index(head, start)] + text + tail[UNITS.index(tail, end) :]
        self.lines[first : last + 1] = whole.split("\n")
