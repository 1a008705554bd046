"""What the shape of a line tells: its indentation, the brackets it leaves open, what it closes.

Promises: pure functions over text, no grammar. Knows no cursor and no request.
"""

import re
from typing import Final

PAIRS: Final = {")": "(", "]": "[", "}": "{"}
QUOTES: Final = "\"'`"
_TAB_COLUMNS: Final = 4
_STRING: Final = re.compile(r"""(["'`])(?:(?!\1)[^\n\\]|\\.)*\1""")
_CLOSING_LINE: Final = re.compile(r"(?:[)\]}\s;,]+|end|fi|done|esac)\Z")
_ANGLE: Final = re.compile(r"[-=]>|[<>]=|[<>]")
_CLOSERS: Final = re.compile(r"""[)\]}"'`;,\s]+\Z""")


def indent(line: str) -> int:
    """Columns of white space in front of a line."""
    blank = line[: len(line) - len(line.lstrip())]
    return len(blank.expandtabs(_TAB_COLUMNS))


def brackets(text: str) -> tuple[str, str]:
    """Give the closing brackets that `text` does not open, the opening ones it does not close.

    Brackets in strings do not count, unless a string begins before the text.
    """
    if not any(text.count(quote) % 2 for quote in QUOTES):
        text = _STRING.sub("", text)
    opened = closed = ""
    for character in text:
        if character in PAIRS.values():
            opened += character
        elif character in PAIRS and opened[-1:] == PAIRS[character]:
            opened = opened[:-1]
        elif character in PAIRS:
            closed += character
    return closed, opened


def only_brackets(text: str) -> str:
    """Give the closing brackets of a line in order, without anything else."""
    return "".join(character for character in text if character in PAIRS)


def closes_a_block(line: str) -> bool:
    """Tell of a line that it does nothing but close: brackets, `;` and `,`, or a closing word."""
    return bool(_CLOSING_LINE.match(line.strip()))


def closes_own(own: list[str], last: str) -> bool:
    """Tell whether the line `last` closes what the lines `own` before it opened themselves."""
    if brackets("\n".join(own))[1]:
        return True
    if not (last.strip().isalpha() and closes_a_block(last)):
        return False
    level = indent(last)
    deeper = False
    for line in reversed(own):
        if line.strip() and indent(line) <= level:
            return deeper and indent(line) == level and not closes_a_block(line)
        deeper = deeper or bool(line.strip())
    return False


def unopened_angles(text: str) -> int:
    """How many `>` of `text` close what it does not open; arrows and comparisons are none."""
    depth = unopened = 0
    for mark in _ANGLE.findall(text):
        if mark == "<":
            depth += 1
        elif mark == ">":
            unopened += depth == 0
            depth = max(0, depth - 1)
    return unopened


def is_paired(rest: str) -> bool:
    """Tell of what follows a cursor on its line that an editor's pairing may have put it there."""
    return bool(_CLOSERS.match(rest))
