"""Where holes are cut into code: from a cursor to the end of what is to be written there.

Kinds: `line-end` and `mid-word` the rest of a line from any place in it, `line` a line from its
first character, `statement` and `block` whole lines by the language's grammar, `span` from one word
to another, also across lines. Knows characters, no tokens.
"""

import random
import re
from dataclasses import dataclass
from typing import Final

from umbrella_engine.distill.languages import regions

KINDS: Final = {"line-end": 0.3, "mid-word": 0.1, "line": 0.2, "statement": 0.12, "block": 0.18,
                "span": 0.1}  # fmt: skip
MOST_SPAN: Final = 240  # characters
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Hole:
    """Characters `start` … `end` of a text."""

    kind: str
    start: int
    end: int


def cut(text: str, language: str, rng: random.Random) -> Hole | None:
    """Cut a hole of a random kind into the middle part of `text`; None where none fits."""
    (kind,) = rng.choices([*KINDS], [*KINDS.values()])
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    low, high = len(text) // 4, len(text) * 7 // 8
    rows = [row for row, start in enumerate(starts[:-1]) if low <= start < high]
    if not rows:
        return None
    if kind in ("statement", "block"):
        if hole := _lines(kind, text, starts, language, rng, rows):
            return hole
        kind = "line"
    candidates = [row for row in rows if text[starts[row] : starts[row + 1]].strip()]
    if not candidates:
        return None
    row = rng.choice(candidates)
    line_end = starts[row + 1] - 1
    return _in_line(kind, text, starts[row], line_end, rng)


def _lines(
    kind: str, text: str, starts: list[int], language: str, rng: random.Random, rows: list[int]
) -> Hole | None:
    """Take a statement or a block from where the cursor stands when it is begun."""
    found = [
        one
        for one in regions(text, language)
        if one.kind == kind and rows[0] <= one.first <= rows[-1]
    ]
    found = [one for one in found if one.last + 1 < len(starts)]
    if not found:
        return None
    region = rng.choice(found)
    start = starts[region.first]
    end = starts[region.last + 1] - 1
    if kind == "block" and rng.random() < 0.5:
        return Hole(kind, start - 1, end)  # at the end of the line that opens it
    indentation = len(text[start:end]) - len(text[start:end].lstrip())
    return Hole(kind, start + indentation, end)


def _in_line(kind: str, text: str, start: int, end: int, rng: random.Random) -> Hole | None:
    line = text[start:end]
    if kind == "line":
        return Hole(kind, start + len(line) - len(line.lstrip()), end)
    words = [found for found in _WORD.finditer(line) if kind != "mid-word" or len(found[0]) > 1]
    if not words:
        return None
    word = rng.choice(words)
    if kind == "mid-word":
        return Hole(kind, start + rng.randrange(word.start() + 1, word.end()), end)
    if kind == "line-end":
        return Hole(kind, start + (word.start() if rng.random() < 0.6 else word.end()), end)
    cursor = start + word.start()
    ends = [one.end() + cursor for one in _WORD.finditer(text[cursor : cursor + MOST_SPAN])]
    return Hole(kind, cursor, rng.choice(ends)) if ends else None
