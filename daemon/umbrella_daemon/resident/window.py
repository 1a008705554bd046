"""Which part of a long text the model reads, in tokens.

Promises: never more than the budget; the start of a window stays where it is while text is typed
behind it, then moves by a large step. No state that matters: the start is the line with the
smallest hash among those that leave the window at least half full, so the same line wins again
after every keystroke, after edits further up and wherever the sender cut the text. What was encoded
lately is remembered, because all but the typed line is the same at every keystroke. Knows nothing
of prompts.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Final
from zlib import crc32

from umbrella_engine.interface import Tokenizer

_CHARACTERS: Final = 5  # read for each token of budget; source code has 3 to 5
_HASHED: Final = 80  # characters that tell one line from another
_STEP: Final = 64  # characters between possible starts inside one long line
_ROUNDED: Final = 16  # the typed part is counted in sixteenths of the budget
_REMEMBERED: Final = 64  # texts; each request looks up five


@lru_cache(maxsize=_REMEMBERED)
def encoded(text: str, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids of a text that will be asked for again."""
    return tuple(tokenizer.encode(text))


def first_tokens(text: str, budget: int, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids of the start of `text`, at most `budget` of them, cut at the end of a line."""
    head = text[: _CHARACTERS * budget]
    ids = encoded(head, tokenizer)
    if len(ids) <= budget and len(head) == len(text):
        return ids
    data = b"".join(map(tokenizer.token_bytes, ids[:budget]))
    fitting = data.decode("utf-8", "ignore")
    whole_lines = fitting[: fitting.rfind("\n") + 1] or fitting
    return encoded(whole_lines, tokenizer)[:budget]


def before_and_typed(prefix: str, budget: int, tokenizer: Tokenizer) -> tuple[str, str]:
    """Split the text before the cursor into a window of earlier lines and the current line.

    Both together take about `budget` tokens or fewer (the caller cuts what ids are too many). The
    first part changes only when a line ends or the window moves. A current line of more than half
    the budget counts as earlier text up to a place that moves rarely, too.
    """
    line = prefix.rfind("\n") + 1
    split = line + _start(prefix[line:], budget // 2, tokenizer)
    typed = prefix[split:]
    unit = max(1, budget // _ROUNDED)
    spent = (len(encoded(typed, tokenizer)) // unit + 1) * unit  # steps: a letter moves nothing
    start = _start(prefix[:split], max(0, budget - spent), tokenizer)
    return prefix[start:split], typed


def _start(text: str, budget: int, tokenizer: Tokenizer) -> int:
    """Position where a window of `budget` tokens at the end of `text` starts."""
    offset = max(0, len(text) - _CHARACTERS * budget)
    if not offset and len(encoded(text, tokenizer)) <= budget:
        return 0
    in_line = offset - (text.rfind("\n", 0, offset) + 1)
    return offset + _start_in_tail(text[offset:], in_line % _STEP, budget, tokenizer)


@lru_cache(maxsize=_REMEMBERED)
def _start_in_tail(tail: str, in_line: int, budget: int, tokenizer: Tokenizer) -> int:
    """Choose among the lines that leave between half and all of `budget` tokens after them.

    `in_line` is how far into a step of its line `tail` starts.
    """
    ids = encoded(tail, tokenizer)
    full = min(budget, len(ids))
    data = tail.encode()
    ends = list(accumulate((len(tokenizer.token_bytes(token)) for token in ids), initial=0))
    oldest, newest = (
        len(data[: ends[len(ids) - size]].decode("utf-8", "ignore")) for size in (full, full // 2)
    )
    starts = list(_line_starts(tail, oldest, newest)) or list(
        _places(tail, in_line, oldest, newest)
    )
    return min(starts, key=lambda start: _rank(tail, start), default=len(tail))


def _line_starts(text: str, oldest: int, newest: int) -> Iterator[int]:
    end = text.find("\n", max(0, oldest - 1), newest)
    while end != -1 and end + 1 < newest:
        yield end + 1
        end = text.find("\n", end + 1, newest)


def _places(text: str, in_line: int, oldest: int, newest: int) -> range:
    """Positions inside a line too long for the window, in steps from the line's start."""
    line_end = text.rfind("\n", 0, oldest)
    line = -in_line if line_end == -1 else line_end + 1
    return range(line + -(-(oldest - line) // _STEP) * _STEP, newest, _STEP)


def _rank(text: str, start: int) -> tuple[bool, int]:
    """Order of possible starts: lines without indentation first, then by hash."""
    return text[start].isspace(), crc32(text[start : start + _HASHED].encode())
