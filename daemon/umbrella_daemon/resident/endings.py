"""Rules of the caller's that end an answer: texts, indentation, time. Bytes in, places out.

A rule looks at an answer that grows. `end` gives the place before which the answer ends, None while
it goes on; `shown` how many bytes cannot be part of an end any more.
"""

import time
from collections.abc import Sequence
from typing import Final, Protocol

NEWLINE: Final = b"\n"
BLANK: Final = b" \t\r"


class Rule(Protocol):
    """What ends an answer."""

    def end(self, data: bytearray, since: int) -> int | None:
        """Give the place where `data` ends; its bytes before `since` have been looked at before."""
        ...

    def shown(self, data: bytearray) -> int:
        """Give how many bytes of `data`, in which there is no end, may be shown."""
        ...


class StopTexts:
    """Ends before the first of some texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [text.encode() for text in texts if text]
        self._longest = max(map(len, self._texts), default=0)
        self.found = ""  # the text that ended the answer

    def end(self, data: bytearray, since: int) -> int | None:
        """See `Rule`."""
        places = [
            (place, text)
            for text in self._texts
            if (place := data.find(text, max(0, since - len(text) + 1))) >= 0
        ]
        if not places:
            return None
        place, text = min(places)
        self.found = text.decode()
        return place

    def shown(self, data: bytearray) -> int:
        """Hold back the longest end of `data` that may be the beginning of a text."""
        for length in range(min(len(data), self._longest - 1), 0, -1):
            end = bytes(data[-length:])
            if any(text.startswith(end) for text in self._texts):
                return len(data) - length
        return len(data)


class LeastIndent:
    """Ends before a line that is indented less than `columns`; blank lines do not count."""

    def __init__(self, columns: int) -> None:
        self._columns = columns

    def end(self, data: bytearray, since: int) -> int | None:
        """See `Rule`."""
        line = max(data.rfind(NEWLINE, 0, since), 0)
        while (line := data.find(NEWLINE, line)) >= 0:
            rest = data[line + 1 :]
            indent = len(rest) - len(rest.lstrip(BLANK))
            said = rest[indent : indent + 1]
            if said and said != NEWLINE and indent < self._columns:
                return line
            line += 1
        return None

    def shown(self, data: bytearray) -> int:
        """Hold back line breaks until the line behind them says something."""
        written = data.rstrip(BLANK + NEWLINE)
        line = data.find(NEWLINE, len(written))
        return len(data) if line < 0 else line


class LineAfter:
    """Ends with the line that is being written when the time is up; it begins with the answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline: float | None = None

    def end(self, data: bytearray, since: int) -> int | None:
        """See `Rule`."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._seconds
        place = data.find(NEWLINE, since) if now > self._deadline else -1
        return None if place < 0 else place

    def shown(self, data: bytearray) -> int:
        """Hold nothing back."""
        return len(data)
