"""How a finished answer joins the text after the cursor: shown as it is, or not at all.

Promises: pure; what is shown is the model's text byte for byte, save that trailing lines which
already follow are left out. Nothing is reformatted. Where the answer itself writes what stands
after the cursor on its line (`foo(|)` and `a)`), it replaces it: the text stays whole, no bracket
is doubled, and the cursor ends up behind them. An answer replaces only as many closing brackets as
it closes without opening them: `bar(a)` leaves the bracket of `foo(|)` alone.
"""

import re
from dataclasses import dataclass
from itertools import dropwhile, islice
from operator import not_
from typing import Final

from umbrella_daemon.wire import Complete, Reason

_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
_QUOTES: Final = "\"'`"
_WORD: Final = re.compile(r"\w")
_STRING: Final = re.compile(r"""(["'`])(?:(?!\1)[^\n\\]|\\.)*\1""")


@dataclass(frozen=True, slots=True)
class Shown:
    """Text to offer; it replaces `replace_after` characters after the cursor, on its line."""

    text: str
    replace_after: int


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing to offer."""

    reason: str  # a value of `wire.Reason`
    detail: str  # one sentence for a person


def postprocess(request: Complete, text: str) -> Shown | Silence:
    """Decide what of `text` an editor shows at the cursor of `request`."""
    if not text.strip():
        return Silence(Reason.EMPTY, "The model had nothing to add here.")
    rest, _, following = request.suffix.partition("\n")
    rest = rest.rstrip()
    if text.strip() == rest.strip():
        return Silence(Reason.EMPTY, "The answer only repeats the rest of the line.")
    replace_after = _replaced(text, rest)
    if rest[replace_after:].strip():  # text remains between the answer and the lines below
        return Shown(text, replace_after)
    current = request.prefix[request.prefix.rfind("\n") + 1 :]
    text = _without_following(current, text, following)
    if not text.strip():
        return Silence(Reason.EMPTY, "The answer only repeats the lines that follow.")
    return Shown(text, replace_after)


def _replaced(text: str, rest: str) -> int:
    """How many characters of `rest` the answer writes itself; the longest start that fits."""
    lasting = text.rstrip()
    closed, _ = _brackets(text)
    for length in range(len(rest), 0, -1):
        part = rest[:length]
        if _WORD.search(part) and length < len(rest):  # a word is repeated whole or not at all
            continue
        if part[-1].isspace() or _brackets(part)[0] != closed or not _same_quotes(text, part):
            continue
        if lasting.endswith(part.strip()) or _only_closes(part):
            return length
    return 0


def _brackets(text: str) -> tuple[str, str]:
    """Give the closing brackets that `text` does not open, the opening ones it does not close."""
    if not any(text.count(quote) % 2 for quote in _QUOTES):  # no string begins before the text
        text = _STRING.sub("", text)
    opened = closed = ""
    for character in text:
        if character in _PAIRS.values():
            opened += character
        elif character in _PAIRS and opened[-1:] == _PAIRS[character]:
            opened = opened[:-1]
        elif character in _PAIRS:
            closed += character
    return closed, opened


def _same_quotes(text: str, part: str) -> bool:
    """Tell whether `text` ends the strings that `part` ends."""
    return all(text.count(q) % 2 == part.count(q) % 2 for q in _QUOTES if q in part)


def _only_closes(part: str) -> bool:
    return all(c in _PAIRS or c in _QUOTES or c.isspace() for c in part)


def _without_following(current: str, text: str, following: str) -> str:
    """Leave out the last lines of `text` that are the first lines after the cursor."""
    lines = (current + text).split("\n")
    written = [line.rstrip() for line in lines]
    below = dropwhile(not_, map(str.rstrip, following.split("\n")))
    ahead = list(islice(below, len(written)))
    first = 1 if current.strip() else 0  # a line begun by the user is not a repetition
    for count in range(min(len(written) - first, len(ahead)), 0, -1):
        kept = "\n".join(lines[:-count])[len(current) :]
        _, left_open = _brackets(kept)  # then the last line closes what the answer opened itself
        if written[-count:] == ahead[:count] and not left_open:
            return kept.rstrip("\r\n")
    return text
