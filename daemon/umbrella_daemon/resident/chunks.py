"""A text cut into pieces that can be quoted elsewhere, and the identifiers of a text.

Pieces are whole lines and begin, where they can, at a line that is not indented or follows a blank
one, so that a short function stays in one piece. Pure functions.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

MAX_LINES: Final = 14
MAX_CHARACTERS: Final = 700
MIN_CHARACTERS: Final = 30  # of a piece worth quoting

_IDENTIFIER: Final = re.compile(r"[^\W\d]\w{2,}")
_DEFINITION: Final = re.compile(
    r"^\s*(?:(?:export|default|public|private|protected|static|async|abstract|final|pub|const|let)"
    r"\s+)*(?:def|class|function|func|fn|interface|struct|enum|trait|type|const|let)\s+(\w+)",
    re.MULTILINE,
)
# said in every file, so that they say nothing of one
_WORDS: Final = """
and async await break case catch class const continue def default del elif else enum except export
extends False false finally fn for from func function global if impl import in int interface is
lambda let match mod mut new nil None not null or pass private protected pub public raise return
self static str string struct super switch this throw trait True true try type undefined use var
void while with yield
"""
_COMMON: Final = frozenset(_WORDS.split())


@dataclass(frozen=True)
class Chunk:
    """A piece of a file; equal ones stand in the same place with the same text."""

    path: str
    line: int  # 0-based, of its first line
    text: str

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Names in it."""
        return identifiers(self.text)

    @cached_property
    def defines(self) -> frozenset[str]:
        """Names it defines."""
        return frozenset(_DEFINITION.findall(self.text))

    @cached_property
    def lines(self) -> frozenset[str]:
        """Its lines that say something, without their indentation."""
        return frozenset(line.strip() for line in self.text.splitlines() if len(line.strip()) > 3)


def identifiers(text: str) -> frozenset[str]:
    """Give the names in a text, without the words of programming languages."""
    return frozenset(_IDENTIFIER.findall(text)) - _COMMON


def chunks(path: str, text: str) -> Iterator[Chunk]:
    """Cut `text`; pieces are at most MAX_LINES lines and about MAX_CHARACTERS characters."""
    first, size = 0, 0
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        starts = bool(line.strip()) and not line[0].isspace() and line[0] not in ")]}"
        after_blank = number > first and not lines[number - 1].strip()
        full = number - first >= MAX_LINES or size + len(line) > MAX_CHARACTERS
        roomy = size > MAX_CHARACTERS // 3
        if number > first and (full or (roomy and (starts or after_blank))):
            yield from _chunk(path, first, lines[first:number])
            first, size = number, 0
        size += len(line)
    yield from _chunk(path, first, lines[first:])


def _chunk(path: str, first: int, lines: list[str]) -> Iterator[Chunk]:
    while lines and not lines[0].strip():
        first, lines = first + 1, lines[1:]
    text = "".join(lines).rstrip() + "\n"
    if MIN_CHARACTERS <= len(text) <= 2 * MAX_CHARACTERS:
        yield Chunk(path, first, text)
