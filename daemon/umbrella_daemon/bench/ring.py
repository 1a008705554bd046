"""llama.vim's ring of pieces of text that were looked at lately, given along as extra context."""

import random
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

CHUNKS: Final = 16
QUEUED: Final = 16
LIKE_EACH_OTHER, LIKE_HERE = 0.9, 0.5
_WORDS: Final = re.compile(r"\W+")

Piece = tuple[str, tuple[str, ...]]  # file, lines


@dataclass
class Ring:
    """Pieces wait in a queue until nothing is typed, then the server reads them."""

    rng: random.Random
    lines: int = 64  # of a piece, at most
    _ring: deque[Piece] = field(default_factory=lambda: deque(maxlen=CHUNKS))
    _queue: deque[Piece] = field(default_factory=lambda: deque(maxlen=QUEUED))

    def pick(self, file: str, lines: list[str]) -> None:
        """Take half a piece from somewhere within `lines`, instead of those much like it."""
        if len(lines) < 3:
            return
        piece = tuple(lines)
        if len(lines) + 1 >= self.lines:
            start = self.rng.randint(0, max(0, len(lines) - self.lines // 2))
            piece = tuple(lines[start : start + self.lines // 2 + 1])
        if any(piece == known for _, known in (*self._ring, *self._queue)):
            return
        for held in (self._ring, self._queue):
            _drop(held, piece, LIKE_EACH_OTHER)
        self._queue.append((file, piece))

    def drop_like(self, lines: list[str]) -> None:
        """Forget what is much like the text at the cursor: it would only be repeated."""
        _drop(self._ring, tuple(lines), LIKE_HERE)

    def update(self) -> bool:
        """Take a piece out of the queue; whether there was one."""
        if self._queue:
            self._ring.append(self._queue.popleft())
            return True
        return False

    def extra(self) -> list[dict[str, str]]:
        """Give the pieces as `input_extra`."""
        return [{"filename": file, "text": "\n".join(lines) + "\n"} for file, lines in self._ring]


def _drop(held: deque[Piece], piece: tuple[str, ...], limit: float) -> None:
    for one in [one for one in held if similarity(one[1], piece) > limit]:
        held.remove(one)


def similarity(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """Give the share of words that two pieces have in common."""
    first, second = (set(_WORDS.split("\n".join(lines))) - {""} for lines in (one, other))
    total = len(first) + len(second)
    return 2 * len(first & second) / total if total else 1.0
