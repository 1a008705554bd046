"""How a finished answer joins the text after the cursor: shown as it is, or not at all.

Promises: pure; what is shown is the model's text byte for byte, save that trailing lines which
already follow are left out. Nothing is reformatted. Where the answer itself writes what stands
after the cursor on its line (`foo(|)` and `a)`), it replaces it: the text stays whole, no bracket
is doubled, and the cursor ends up behind them. An answer replaces only as many closing brackets as
it closes without opening them: `bar(a)` leaves the bracket of `foo(|)` alone. An answer that says
once more what stands there already, before or after the cursor, is not shown.
"""

import re
from dataclasses import dataclass
from itertools import dropwhile, islice
from operator import not_
from typing import Final

from umbrella_daemon.resident.lines import (
    PAIRS,
    QUOTES,
    brackets,
    closes_a_block,
    closes_own,
    indent,
    only_brackets,
    unopened_angles,
)
from umbrella_daemon.resident.stopping import Stopping
from umbrella_daemon.wire import Complete, Reason

_WORD: Final = re.compile(r"\w")
_SAYS_SOMETHING: Final = 8  # characters; shorter lines are often right twice


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


def settle(request: Complete, text: str, max_lines: int, *, cut: bool = False) -> Shown | Silence:
    """Decide what an editor shows of all that a model wrote at the cursor of `request`.

    The pure function of prefix, suffix, text and language: where the answer ends, then how it
    joins. `cut` says that it did not end by itself.
    """
    return postprocess(request, Stopping(request, max_lines).finish(text, cut=cut))


def postprocess(request: Complete, text: str) -> Shown | Silence:
    """Decide what of `text` an editor shows at the cursor of `request`."""
    if not text.strip():
        return Silence(Reason.EMPTY, "The model had nothing to add here.")
    rest, _, following = request.suffix.partition("\n")
    rest = rest.rstrip()
    if text.strip() == rest.strip():
        return Silence(Reason.REPEATS, "The answer only repeats the rest of the line.")
    replace_after = _replaced(text, rest)
    if rest[replace_after:].strip():  # text remains between the answer and the lines below
        return Shown(text, replace_after)
    start = request.prefix.rfind("\n") + 1
    current = request.prefix[start:]
    text = _without_following(current, text, following)
    if not text.strip():
        return Silence(Reason.REPEATS, "The answer only repeats the lines that follow.")
    if _says_again(request.prefix[:start], current, text):
        return Silence(Reason.REPEATS, "The answer only repeats the lines before it.")
    return Shown(text, replace_after)


def _replaced(text: str, rest: str) -> int:
    """How many characters of `rest` the answer writes itself; the longest start that fits."""
    lasting = text.rstrip()
    closed, _ = brackets(text)
    for length in range(len(rest), 0, -1):
        part = rest[:length]
        if _WORD.search(part) and length < len(rest):  # a word is repeated whole or not at all
            continue
        if part[-1].isspace() or brackets(part)[0] != closed or not _same_quotes(text, part):
            continue
        if unopened_angles(part) > unopened_angles(lasting):
            continue
        if lasting.endswith(part.strip()) or _only_closes(part):
            return length
    return 0


def _same_quotes(text: str, part: str) -> bool:
    """Tell whether `text` ends the strings that `part` ends."""
    return all(text.count(q) % 2 == part.count(q) % 2 for q in QUOTES if q in part)


def _only_closes(part: str) -> bool:
    return all(c in PAIRS or c in QUOTES or c.isspace() for c in part)


def _without_following(current: str, text: str, following: str) -> str:
    """Leave out the last lines of `text` that are the first lines after the cursor."""
    lines = (current + text).split("\n")
    below = dropwhile(not_, map(str.rstrip, following.split("\n")))
    ahead = list(islice(below, len(lines)))
    first = 1 if current.strip() else 0  # a line begun by the user is not a repetition
    for count in range(min(len(lines) - first, len(ahead)), 0, -1):
        kept, left_out = lines[:-count], lines[-count:]
        is_there = [line.rstrip() for line in left_out] == ahead[:count]
        if count == 1 and not is_there:
            is_there = _close_alike(left_out[0], ahead[0])
        shown = "\n".join(kept)[len(current) :]
        own = shown.split("\n") if first else kept
        if is_there and not closes_own(own, left_out[-1]):
            return shown.rstrip("\r\n")
    return text


def _close_alike(line: str, other: str) -> bool:
    """Tell whether two lines do nothing but close the same brackets at the same place."""
    if not (closes_a_block(line) and closes_a_block(other) and indent(line) == indent(other)):
        return False
    return only_brackets(line) == only_brackets(other) != ""


def _says_again(before: str, current: str, text: str) -> bool:
    """Tell whether the whole lines of `text` are those directly before the cursor."""
    lines = [line.rstrip() for line in (current + text).split("\n")]
    above = [line.rstrip() for line in before.split("\n")[:-1]]
    if current.strip() or len(text.strip()) < _SAYS_SOMETHING:
        return False
    return above[-len(lines) :] == lines
