"""When a growing answer has said enough.

Promises: the same text ends in the same place, however it arrives; nothing blank stands at the end;
documents with CRLF get CRLF. The rules look at indentation, brackets and the lines after the
cursor, at no grammar. Knows no model.

One line is wanted where text follows the cursor on its line, or precedes it without opening a
block. Otherwise the answer may be a block. It ends at a dedent (the bracket that closes what the
current line opened still belongs to it), at a blank line after content, after `max_lines` lines,
where it writes the line that already follows, and where one line comes three times in a row.
"""

import re
from typing import Final, Protocol

from umbrella_daemon.wire import Complete

_OPENS: Final = re.compile(r"(?:[:{(\[]|=>|->|\b(?:do|then|else|begin|try))\s*\Z")
_CLOSES: Final = re.compile(r"\s*(?:[)\]}]|</|(?:end|fi|done|esac)\b)")
_CLOSING_WORDS: Final = ("</", "end", "fi", "done", "esac")
_GOES_ON: Final = re.compile(r"[,({\[:\\]\s*\Z")  # a complete line may well end so
_DANGLES: Final = re.compile(r"\s(?:[-+*/%&|^<>!=:]?=|&&|\|\||\+)\Z")
_TAB_COLUMNS: Final = 4
_REPEATS: Final = 3


class Stopping:
    """Decides on the text of one answer."""

    def __init__(self, request: Complete, max_lines: int) -> None:
        current = request.prefix[request.prefix.rfind("\n") + 1 :]
        rest, _, following = request.suffix.partition("\n")
        may_open = not current.strip() or _OPENS.search(current)
        self._rules: _Rules = (
            _Block(current, following, max_lines) if may_open and not rest.strip() else _OneLine()
        )
        self._newline = newline_of(request)

    def update(self, text: str) -> str | None:
        """Give the final text when all text so far shows that it has ended, else None."""
        end = self._rules.end(_unix(text))
        return None if end is None else self._tidy(end)

    def finish(self, text: str) -> str:
        """Give the final text of an answer that ended by itself or ran out of tokens.

        The last of several lines is left out when it is clearly cut off: it leaves a bracket open
        and does not end as such lines do, or it ends in an operator.
        """
        unix = _unix(text)
        end = self._rules.end(unix)
        return self._tidy(self._rules.last(unix) if end is None else end)

    def _tidy(self, text: str) -> str:
        return text.rstrip(" \t\r\n").replace("\n", self._newline)


class _Rules(Protocol):
    """What ends an answer; lines end in line feeds here."""

    def end(self, text: str) -> str | None:
        """Give the wanted part of `text` when it has ended, else None."""
        ...

    def last(self, text: str) -> str:
        """Give the wanted part of `text` when no more will come."""
        ...


class _OneLine:
    """Ends with the line."""

    def end(self, text: str) -> str | None:
        line, line_break, _ = text.partition("\n")
        return line if line_break else None

    def last(self, text: str) -> str:
        return text


class _Block:
    """Ends with the block that the current line opens, or stands in when it is blank."""

    def __init__(self, current: str, following: str, max_lines: int) -> None:
        self._current = current
        self._opened = bool(current.strip())
        self._indent = _indent(current)
        after = (line for line in following.split("\n") if line.strip())
        self._next_line = next(after, "").rstrip()
        self._max_lines = max_lines

    def end(self, text: str) -> str | None:
        *complete, growing = (self._current + text).split("\n")
        wanted = self._wanted(complete)
        if wanted is None and complete and self._surely_outside(growing, self._floor(complete)):
            wanted = len(complete)
        return None if wanted is None else self._generated(complete[:wanted])

    def last(self, text: str) -> str:
        lines = (self._current + text).split("\n")
        wanted = self._wanted(lines)
        if wanted is None and len(lines) > 1 and _cut_off(lines[-1]):
            wanted = len(lines) - 1
        return self._generated(lines[:wanted])

    def _generated(self, lines: list[str]) -> str:
        return "\n".join(lines)[len(self._current) :]

    def _wanted(self, lines: list[str]) -> int | None:
        """How many of these complete lines are the answer, None while it may go on."""
        floor = self._floor(lines)
        content = 0
        for index, line in enumerate(lines):
            if not (line if index else line[len(self._current) :]).strip():
                if content:
                    return index
                continue
            is_own_line = index > 0 or not self._opened
            if is_own_line and (self._outside(line, floor) or line.rstrip() == self._next_line):
                return index
            if _repeats(lines[: index + 1]):
                return index + 2 - _REPEATS
            content += 1
            if content == self._max_lines or self._closes(line, index, floor):
                return index + 1
        return None

    def _floor(self, lines: list[str]) -> int:
        """Columns of indentation that lines of the block have at least."""
        if self._opened:
            return self._indent + 1
        first = next((line for line in lines if line.strip()), self._current)
        return max(self._indent, _indent(first))

    def _outside(self, line: str, floor: int) -> bool:
        if self._opened and _indent(line) == self._indent and _CLOSES.match(line):
            return False
        return _indent(line) < floor

    def _surely_outside(self, growing: str, floor: int) -> bool:
        """Tell of a line that is not complete whether it is outside, however it goes on."""
        start = growing.strip()
        may_close = self._opened and any(word.startswith(start) for word in _CLOSING_WORDS)
        return start != "" and not may_close and self._outside(growing, floor)

    def _closes(self, line: str, index: int, floor: int) -> bool:
        """Tell whether nothing of the block can follow this line of it."""
        at_its_level = index == 0 or _indent(line) < floor
        return self._opened and at_its_level and not (_OPENS.search(line) or _open_brackets(line))


def _indent(line: str) -> int:
    blank = line[: len(line) - len(line.lstrip())]
    return len(blank.expandtabs(_TAB_COLUMNS))


def _open_brackets(line: str) -> bool:
    return sum(map(line.count, "([{")) > sum(map(line.count, ")]}"))


def _cut_off(line: str) -> bool:
    if _DANGLES.search(line):
        return True
    return _open_brackets(line) and not _GOES_ON.search(line)


def _repeats(lines: list[str]) -> bool:
    latest = {line.rstrip() for line in lines[-_REPEATS:]}
    return len(lines) >= _REPEATS and len(latest) == 1


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def newline_of(request: Complete) -> str:
    """Give the line break nearest before the cursor, else the first after it."""
    before = request.prefix.rfind("\n")
    if before != -1:
        crlf = request.prefix[:before].endswith("\r")
    else:
        crlf = request.suffix.partition("\n")[0].endswith("\r") and "\n" in request.suffix
    return "\r\n" if crlf else "\n"
