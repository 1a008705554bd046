"""Markdown that arrives in pieces, cut into blocks that are settled and a tail that may change.

A block is settled once a whole line of the next one is there; lines of a fenced code block are
settled one by one. What is settled can be printed for good, so that a terminal keeps it and only
the tail is drawn again. Promises: however a text is cut into pieces, the blocks are the same, and
their sources in order are the text.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from markdown_it import MarkdownIt

_FENCE: Final = re.compile(r" {0,3}(?P<marks>`{3,}|~{3,})(?P<info>.*)")
_CONTEXT_LINES: Final = 100  # of a code block that colours of the next line may depend on


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph, a heading, a list, a table …, as Markdown."""

    source: str


@dataclass(frozen=True, slots=True)
class FenceOpened:
    """The line that begins a code block; `language` is "" where it names none."""

    source: str
    language: str


@dataclass(frozen=True, slots=True)
class Code:
    """A line of a code block, below the lines `before`."""

    source: str
    language: str
    before: str


@dataclass(frozen=True, slots=True)
class FenceClosed:
    """The line that ends a code block; no source where the text ended before it."""

    source: str


Block = Prose | FenceOpened | Code | FenceClosed


@dataclass(frozen=True, slots=True)
class _Fence:
    marks: str
    language: str
    code: tuple[str, ...] = ()

    def closed_by(self, line: str) -> bool:
        found = _FENCE.match(line)
        return (
            found is not None
            and found["marks"].startswith(self.marks)
            and not found["info"].strip()
        )

    def line(self, source: str) -> Code:
        return Code(source, self.language, "".join(self.code))


def parser() -> MarkdownIt:
    """Make what reads Markdown; tags of HTML are text."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").enable("strikethrough")


class MarkdownStream:
    """Takes pieces, gives blocks."""

    def __init__(self) -> None:
        self._parser = parser()
        self._prose = ""  # whole lines of the block that may go on
        self._line = ""  # the line that is not whole yet
        self._fence: _Fence | None = None

    @property
    def tail(self) -> Block | None:
        """What is not settled yet, as it would be if the text ended here."""
        if self._fence is not None:
            return self._fence.line(self._line) if self._line else None
        source = self._prose + self._line
        return Prose(source) if source.strip() else None

    def feed(self, piece: str) -> list[Block]:
        """Take a piece, give the blocks that it settles."""
        *whole, self._line = (self._line + piece).split("\n")
        return [block for line in whole for block in self._take(line + "\n")]

    def end(self) -> list[Block]:
        """Settle what is left."""
        unended = self._line != ""
        blocks = self.feed("\n") if unended else []
        if self._prose:
            blocks.append(Prose(self._prose))
        if unended:
            blocks[-1] = replace(blocks[-1], source=blocks[-1].source[:-1])
        if self._fence is not None:
            blocks.append(FenceClosed(""))
        self._prose, self._fence = "", None
        return blocks

    def _take(self, line: str) -> list[Block]:
        if self._fence is None:
            return self._take_prose(line)
        if self._fence.closed_by(line):
            self._fence = None
            return [FenceClosed(line)]
        block = self._fence.line(line)
        self._fence = replace(self._fence, code=(*self._fence.code, line)[-_CONTEXT_LINES:])
        return [block]

    def _take_prose(self, line: str) -> list[Block]:
        self._prose += line
        blocks = [
            (token.map[0], token.type)
            for token in self._parser.parse(self._prose)
            if token.level == 0 and token.map
        ]
        if not blocks:
            return []
        start, kind = blocks[-1]
        lines = self._prose.splitlines(keepends=True)
        if kind == "fence":
            opening = _FENCE.match(lines[start])
            assert opening is not None  # else it were no fence
            language = (opening["info"].split() or [""])[0]
            self._fence = _Fence(opening["marks"], language)
            self._prose = ""
            above = "".join(lines[:start])
            return [*([Prose(above)] if above else []), FenceOpened(lines[start], language)]
        if len(blocks) == 1:
            return []
        self._prose = "".join(lines[start:])
        return [Prose("".join(lines[:start]))]
