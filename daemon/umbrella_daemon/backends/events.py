"""Server-sent events: a stream of bytes cut into the data of its events. Knows no HTTP.

Promises: the same events however the bytes arrive; line ends are those of the standard (CR, LF,
both), never others that Unicode has, since JSON may hold those.
"""

import re
from typing import Final

_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")  # at the end a CR may be half a line end


class EventReader:
    """Cuts one stream."""

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[bytes] = []  # of the event that is being read

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, give the data of the events that are now complete."""
        *lines, self._buffer = _LINE_END.split(self._buffer + data)
        events = []
        for line in lines:
            if line:
                self._read(line)
            elif self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events

    def _read(self, line: bytes) -> None:
        """Take a line; comments and fields other than `data` say nothing to us."""
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
