"""How much of an answer is wanted: its first line, or the block that it writes.

One line is wanted where text follows the cursor on its line, other than brackets that an editor put
there in pairs. Otherwise the answer may be a block: one that the current line opens, one that the
first line of the answer opens, or the lines of the block in which a blank line stands. It ends at a
dedent (the bracket that closes what was opened still belongs to it), at a blank line after content,
after `max_lines` lines, where it writes the line that already follows, and where lines come three
times in a row. What stands in a string or comment is neither dedent nor blank line. The rules look
at indentation, brackets and the lines after the cursor, and ask the language's grammar where those
cannot tell. Lines end in line feeds here.
"""

import re
from itertools import islice
from typing import Final, Protocol

from umbrella_daemon.resident.grammar import grammar_of
from umbrella_daemon.resident.lines import PAIRS, brackets, closes_own, indent
from umbrella_daemon.wire import Complete

_OPENS: Final = re.compile(r"(?:[:{(\[]|=>|->|\b(?:do|then|else|begin|try))\s*\Z")
_CLOSES: Final = re.compile(r"\s*(?:[)\]}]|</|(?:end|fi|done|esac)\b)")
_CLOSING_WORDS: Final = ("</", "end", "fi", "done", "esac")
_GOES_ON: Final = re.compile(r"[,({\[:\\]\s*\Z")  # a complete line may well end so
_SAME_LINES: Final = 4  # that an answer and what follows may not begin with
_DANGLES: Final = re.compile(r"\s(?:[-+*/%&|^<>!=:]?=|&&|\|\||\+)\Z")
_REPEATS: Final = 3
_LONGEST_CYCLE: Final = 3  # lines that are written over and over


class Extent(Protocol):
    """What ends an answer."""

    def end(self, text: str) -> str | None:
        """Give the wanted part of `text` when it has ended, else None."""
        ...

    def last(self, text: str) -> str:
        """Give the wanted part of `text` when no more will come."""
        ...

    def after(self, behind: str, kept: str) -> str:
        """Give the white space that belongs behind `kept`; `behind` is what was written there."""
        ...


class OneLine:
    """Ends with the line."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix

    def end(self, text: str) -> str | None:
        """Give the wanted part of `text` when it has ended, else None."""
        line, line_break, _ = text.partition("\n")
        return line if line_break else None

    def last(self, text: str) -> str:
        """Give the wanted part of `text` when no more will come."""
        return text

    def after(self, behind: str, kept: str) -> str:
        """Give the space that parts the answer from what follows on the line."""
        return _space_before(self._suffix, behind)


class Block:
    """Ends with the line, or with the block that it opens, or stands in when it is blank."""

    def __init__(self, request: Complete, rest: str, following: str, max_lines: int) -> None:
        start = request.prefix.rfind("\n") + 1
        self._before, self._current = request.prefix[:start], request.prefix[start:]
        self._suffix = request.suffix
        self._rest = rest  # closing brackets and the like, behind the cursor
        self._begun = bool(self._current.strip())
        self._indent = indent(self._current)
        after = (line.rstrip() for line in following.split("\n") if line.strip())
        self._following = list(islice(after, _SAME_LINES))
        self._max_lines = max_lines
        self._grammar = grammar_of(request.language)

    def end(self, text: str) -> str | None:
        """Give the wanted part of `text` when it has ended, else None."""
        *complete, growing = (self._current + text).split("\n")
        wanted = self._wanted(complete)
        if wanted is None and complete and self._surely_outside(growing, complete):
            wanted = len(complete)
        return None if wanted is None else self._generated(complete[:wanted])

    def last(self, text: str) -> str:
        """Give the wanted part of `text` when no more will come."""
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
            return _space_before(self._suffix, behind)
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
                if index == 0 and len(lines) > 1 and self._is_whole(line):
                    return 0
                if content and not self._in_text(lines[:index]):
                    return index
                continue
            so_far = lines[: index + 1]
            if self._ends_before(so_far, floor):
                return index
            if self._repeats_following(so_far):
                return index + 1  # nothing else was wanted; what becomes of it is not decided here
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
        *above, line = lines
        is_end = self._outside(line, floor) or (self._is_next(lines) and self._says_anything(above))
        return is_end and not self._begins_in_text(lines)

    def _is_next(self, lines: list[str]) -> bool:
        """Tell whether the last of these lines is the one that follows the cursor anyway."""
        if lines[-1].rstrip() not in self._following[:1] or (len(lines) == 1 and self._begun):
            return False
        return not closes_own(self._generated(lines[:-1]).split("\n"), lines[-1])

    def _repeats_following(self, lines: list[str]) -> bool:
        """Tell whether the answer so far is the lines that follow, too many of them for chance."""
        own = [line.rstrip() for line in lines[int(self._begun) :] if line.strip()]
        at_first = not self._generated(lines[:1]).strip() or not self._begun
        return at_first and own == self._following and len(own) > 0

    def _says_anything(self, lines: list[str]) -> bool:
        return bool(self._generated(lines).strip())

    def _is_whole(self, current: str) -> bool:
        """Tell whether nothing of the current line goes on in the next one."""
        return self._begun and not (self._opens([current]) or self._in_text([current]))

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


def _space_before(suffix: str, behind: str) -> str:
    """Give the space that an answer leaves before the text that follows it on its line."""
    return behind if behind.strip(" \t") == "" and not suffix[:1].isspace() and suffix else ""


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
