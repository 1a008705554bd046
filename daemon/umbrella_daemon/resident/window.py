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
_SHARE: Final = 8  # the typed line has an eighth of the budget to itself, at first
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
    first part changes only when a line ends or the typed one doubles its share. A current line of
    more than half the budget counts as earlier text up to a place that moves rarely, too.
    """
    line = prefix.rfind("\n") + 1
    split = line + _start(prefix[line:], budget // 2, tokenizer)
    typed = prefix[split:]
    length, share = len(encoded(typed, tokenizer)), budget // _SHARE
    while share < length:
        share = min(2 * share + 1, max(length, budget // 2))
    start = _start(prefix[:split], max(0, budget - share), tokenizer)
    return prefix[start:split], typed


def _start(text: str, budget: int, tokenizer: Tokenizer) -> int:
    """Position where a window of `budget` tokens at the end of `text` starts."""
    offset = max(0, len(text) - _CHARACTERS * budget)
    if not offset and len(encoded(text, tokenizer)) <= budget:
        return 0
    in_line = offset - (text.rfind("\n", 0, offset) + 1)
    return offset + _start_in_tail(text[offset:], in_line, budget, tokenizer)


@lru_cache(maxsize=_REMEMBERED)
def _start_in_tail(tail: str, in_line: int, budget: int, tokenizer: Tokenizer) -> int:
    """Choose a place that leaves between half and all of `budget` tokens after it.

    `in_line` is how far into its line `tail` starts.
    """
    ids = encoded(tail, tokenizer)
    full = min(budget, len(ids))
    data = tail.encode()
    ends = list(accumulate((len(tokenizer.token_bytes(token)) for token in ids), initial=0))
    oldest, newest = (
        len(tail) - len(data[ends[len(ids) - size] :].decode("utf-8", "ignore"))
        for size in (full, full // 2)
    )
    lines = _line_starts(tail, oldest, newest)
    return min(lines, key=lambda line: _rank(tail, line), default=None) or _place(
        tail, in_line, oldest, newest
    )


def _line_starts(text: str, oldest: int, newest: int) -> Iterator[int]:
    end = text.find("\n", max(0, oldest - 1), newest)
    while end != -1 and end + 1 < newest:
        yield end + 1
        end = text.find("\n", end + 1, newest)


def _rank(text: str, start: int) -> tuple[bool, int]:
    """Order of lines: those without indentation first, then by hash."""
    return text[start].isspace(), crc32(text[start : start + _HASHED].encode())


def _place(text: str, in_line: int, oldest: int, newest: int) -> int:
    """Position inside a line too long for the window: the roundest distance from its start."""
    line_end = text.rfind("\n", 0, oldest)
    line = -in_line if line_end == -1 else line_end + 1
    distance = newest - 1 - line
    while distance & (distance - 1) >= oldest - line > 0:
        distance &= distance - 1
    return max(oldest, line + distance)
