"""When a growing answer has said enough.

Promises: the same text ends in the same place, however it arrives; nothing blank stands at the end
but for what parts it from the text behind the cursor on its line; documents with CRLF get CRLF; a
control token's name spelled as text ends the answer before it. Knows no model.
"""

import re
from typing import Final

from umbrella_daemon.resident.extent import Block, Extent, OneLine
from umbrella_daemon.resident.lines import is_paired
from umbrella_daemon.resident.markers import before_marker
from umbrella_daemon.wire import Complete

_PART_OF_WORD: Final = re.compile(r"\w+\Z")
_OVER_AND_OVER: Final = re.compile(r"(?<!\w)(?:(.{3,9}?)\1{4,}|(.{10,}?)\2{2,})")


class Stopping:
    """Decides on the text of one answer."""

    def __init__(self, request: Complete, max_lines: int) -> None:
        rest, _, following = request.suffix.partition("\n")
        rest = rest.strip()
        self._rules: Extent = (
            Block(request, rest, following, max_lines)
            if not rest or is_paired(rest)
            else OneLine(request.suffix)
        )
        self._newline = newline_of(request)

    def update(self, text: str) -> str | None:
        """Give the final text when all text so far shows that it has ended, else None."""
        unix, marked = before_marker(_unix(text))
        end = self._rules.end(unix)
        if end is None and marked:
            end = self._rules.last(unix)
        return None if end is None else self._tidy(unix, end)

    def finish(self, text: str, *, cut: bool = False) -> str:
        """Give the final text of an answer that ended by itself or ran out of tokens or time.

        The last of several lines is left out when it is clearly cut off: it leaves a bracket open
        and does not end as such lines do, or it ends in an operator. `cut` says that the answer did
        not end by itself: then the last of several lines is left out in any case, of a single one
        the last word, and what is written over and over is written once.
        """
        unix, _ = before_marker(_unix(text))
        end = self._rules.end(unix)
        if end is None:
            end = self._rules.last(unix)
            if cut and end == unix:
                end = _without_part(end)
        return self._tidy(unix, end)

    def _tidy(self, text: str, end: str) -> str:
        kept = end.rstrip(" \t\r\n")
        return (kept + self._rules.after(text[len(kept) :], kept)).replace("\n", self._newline)


def newline_of(request: Complete) -> str:
    """Give the line end of the document: the one nearest before the cursor, else the first after.

    It is a line feed where the document has but one line.
    """
    before = request.prefix.rfind("\n")
    if before != -1:
        crlf = request.prefix[:before].endswith("\r")
    else:
        crlf = request.suffix.partition("\n")[0].endswith("\r") and "\n" in request.suffix
    return "\r\n" if crlf else "\n"


def _without_part(text: str) -> str:
    """Leave out what can only be a part at the end of an answer that was cut."""
    head, line_break, last = text.rpartition("\n")
    if line_break and head.strip():
        return head
    for again in _OVER_AND_OVER.finditer(last):
        unit: str = again[1] or again[2]
        if unit.startswith(last[again.end() :]):
            return head + line_break + last[: again.start()] + unit
    whole = _PART_OF_WORD.sub("", last)
    return head + line_break + (whole if whole.strip() else last)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
