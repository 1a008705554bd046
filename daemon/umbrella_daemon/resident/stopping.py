"""When a growing answer has said enough.

Promises: the same text ends in the same place, however it arrives; nothing blank stands at the end
(but for the line break before a closing bracket that waits on the cursor's line); documents with
CRLF get CRLF; a control token's name spelled as text ends the answer before it. The rules look at
indentation, brackets and the lines after the cursor, and ask the language's grammar where those
cannot tell. Knows no model.

One line is wanted where text follows the cursor on its line, other than brackets that an editor put
there in pairs. Otherwise the answer may be a block: one that the current line opens, one that the
first line of the answer opens, or the lines of the block in which a blank line stands. It ends at a
dedent (the bracket that closes what was opened still belongs to it), at a blank line after content,
after `max_lines` lines, where it writes the line that already follows, and where lines come three
times in a row. What stands in a string or comment is neither dedent nor blank line.
"""

import re
from typing import Final, Protocol

from umbrella_daemon.resident.grammar import grammar_of
from umbrella_daemon.resident.lines import PAIRS, brackets, indent, is_paired
from umbrella_daemon.resident.markers import before_marker
from umbrella_daemon.wire import Complete

_OPENS: Final = re.compile(r"(?:[:{(\[]|=>|->|\b(?:do|then|else|begin|try))\s*\Z")
_CLOSES: Final = re.compile(r"\s*(?:[)\]}]|</|(?:end|fi|done|esac)\b)")
_CLOSING_WORDS: Final = ("</", "end", "fi", "done", "esac")
_GOES_ON: Final = re.compile(r"[,({\[:\\]\s*\Z")  # a complete line may well end so
_DANGLES: Final = re.compile(r"\s(?:[-+*/%&|^<>!=:]?=|&&|\|\||\+)\Z")
_PART_OF_WORD: Final = re.compile(r"\w+\Z")
_OVER_AND_OVER: Final = re.compile(r"(?<!\w)(?:(.{3,9}?)\1{4,}|(.{10,}?)\2{2,})")
_REPEATS: Final = 3
_LONGEST_CYCLE: Final = 3  # lines that are written over and over


class Stopping:
    """Decides on the text of one answer."""

    def __init__(self, request: Complete, max_lines: int) -> None:
        rest, _, following = request.suffix.partition("\n")
        rest = rest.strip()
        self._rules: _Rules = (
            _Block(request, rest, following, max_lines)
            if not rest or is_paired(rest)
            else _OneLine()
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


class _Rules(Protocol):
    """What ends an answer; lines end in line feeds here."""

    def end(self, text: str) -> str | None:
        """Give the wanted part of `text` when it has ended, else None."""
        ...

    def last(self, text: str) -> str:
        """Give the wanted part of `text` when no more will come."""
        ...

    def after(self, behind: str, kept: str) -> str:
        """Give the white space that belongs behind `kept`; `behind` is what was written there."""
        ...


class _OneLine:
    """Ends with the line."""

    def end(self, text: str) -> str | None:
        line, line_break, _ = text.partition("\n")
        return line if line_break else None

    def last(self, text: str) -> str:
        return text

    def after(self, behind: str, kept: str) -> str:
        return ""


class _Block:
    """Ends with the line, or with the block that it opens, or stands in when it is blank."""

    def __init__(self, request: Complete, rest: str, following: str, max_lines: int) -> None:
        start = request.prefix.rfind("\n") + 1
        self._before, self._current = request.prefix[:start], request.prefix[start:]
        self._rest = rest  # closing brackets and the like, behind the cursor
        self._begun = bool(self._current.strip())
        self._indent = indent(self._current)
        after = (line for line in following.split("\n") if line.strip())
        self._next_line = next(after, "").rstrip()
        self._max_lines = max_lines
        self._grammar = grammar_of(request.language)

    def end(self, text: str) -> str | None:
        *complete, growing = (self._current + text).split("\n")
        wanted = self._wanted(complete)
        if wanted is None and complete and self._surely_outside(growing, complete):
            wanted = len(complete)
        return None if wanted is None else self._generated(complete[:wanted])

    def last(self, text: str) -> str:
        lines = (self._current + text).split("\n")
        wanted = self._wanted(lines)
        if wanted is None and len(lines) > 1 and _cut_off(lines[-1]):
            wanted = len(lines) - 1
        return self._generated(lines[:wanted])

    def after(self, behind: str, kept: str) -> str:
        """Keep the line break before the bracket that closes, behind the cursor, what was opened.

        `{|}` and a body: the bracket has to stand on a line of its own, where it stood in the
        answer or would have stood.
        """
        opener = PAIRS.get(self._rest[:1], "")
        blank = behind[: len(behind) - len(behind.lstrip())]
        is_waited_for = opener != "" and self._current.rstrip().endswith(opener)
        if not (is_waited_for and "\n" in kept and "\n" in blank):
            return ""
        if self._rest[:1] in brackets(kept)[0]:
            return ""  # the answer closed it itself
        return "\n" + self._current[: len(self._current) - len(self._current.lstrip())]

    def _generated(self, lines: list[str]) -> str:
        return "\n".join(lines)[len(self._current) :]

    def _wanted(self, lines: list[str]) -> int | None:
        """How many of these complete lines are the answer, None while it may go on."""
        floor = self._floor(lines)
        content = 0
        for index, line in enumerate(lines):
            if not (line if index else line[len(self._current) :]).strip():
                if index == 0 and len(lines) > 1 and self._begun and not self._opens(lines[:1]):
                    return 0  # the current line is whole: what comes next is another
                if content and not self._in_text(lines[:index]):
                    return index
                continue
            so_far = lines[: index + 1]
            if self._ends_before(so_far, floor):
                return index
            if cycle := _cycle(so_far):
                return index + 1 - cycle * (_REPEATS - 1)
            content += 1
            if content == self._max_lines or self._closes(so_far, floor):
                return index + 1
        return None

    def _ends_before(self, lines: list[str], floor: int) -> bool:
        """Tell whether the last of these lines is no part of the block."""
        if len(lines) == 1 and self._begun:
            return False
        line = lines[-1]
        is_end = self._outside(line, floor) or line.rstrip() == self._next_line
        return is_end and not self._begins_in_text(lines)

    def _begins_in_text(self, lines: list[str]) -> bool:
        return len(lines) > 1 and self._in_text(lines[:-1])

    def _floor(self, lines: list[str]) -> int:
        """Columns of indentation that lines of the block have at least."""
        if self._begun:
            return self._indent + 1
        first = next((line for line in lines if line.strip()), self._current)
        return max(self._indent, indent(first))

    def _outside(self, line: str, floor: int) -> bool:
        if self._begun and indent(line) == self._indent and _CLOSES.match(line):
            return False
        return indent(line) < floor

    def _surely_outside(self, growing: str, complete: list[str]) -> bool:
        """Tell of a line that is not complete whether it is outside, however it goes on."""
        start = growing.strip()
        may_close = self._begun and any(word.startswith(start) for word in _CLOSING_WORDS)
        if start == "" or may_close or not self._outside(growing, self._floor(complete)):
            return False
        return not self._in_text(complete)

    def _closes(self, lines: list[str], floor: int) -> bool:
        """Tell whether nothing of the block can follow the last of these lines of it."""
        first = len(lines) == 1
        at_its_level = first or indent(lines[-1]) < floor
        if not (self._begun and at_its_level) or self._goes_on(lines):
            return False
        return not (self._begins_in_text(lines) or self._in_text(lines))

    def _goes_on(self, lines: list[str]) -> bool:
        """Tell whether the last line needs others after it."""
        first = len(lines) == 1
        if _OPENS.search(lines[-1]):
            return self._opens(lines)
        if not _open_brackets(lines[-1] + (self._rest if first else "")):
            return False
        return not (first and self._in_comment_line(lines))

    def _opens(self, lines: list[str]) -> bool:
        """Tell whether the last of these lines opens a block."""
        if not _OPENS.search(lines[-1]):
            return False
        source = self._source(lines)
        if lines[-1].rstrip().endswith(":") and not self._grammar.colon_opens(source):
            return False
        return not self._grammar.in_text(source)

    def _in_text(self, lines: list[str]) -> bool:
        """Tell whether a string or a comment goes on behind these lines."""
        return self._grammar.in_text(self._source(lines) + "\n")

    def _in_comment_line(self, lines: list[str]) -> bool:
        return self._grammar.in_text(self._source(lines)) and not self._in_text(lines)

    def _source(self, lines: list[str]) -> str:
        return self._before + "\n".join(lines)


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


def _open_brackets(line: str) -> bool:
    return len(brackets(line)[1]) > len(brackets(line)[0])


def _cut_off(line: str) -> bool:
    if _DANGLES.search(line):
        return True
    return _open_brackets(line) and not _GOES_ON.search(line)


def _cycle(lines: list[str]) -> int:
    """Length of a run of lines that stands `_REPEATS` times at the end, 0 without one."""
    tail = [line.rstrip() for line in lines[-_REPEATS * _LONGEST_CYCLE :]]
    for length in range(1, len(tail) // _REPEATS + 1):
        runs = tail[-_REPEATS * length :]
        if any(runs) and all(runs[i] == runs[i - length] for i in range(length, len(runs))):
            return length
    return 0


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
