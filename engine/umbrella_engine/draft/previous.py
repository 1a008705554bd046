"""Guesses that the user types what was suggested, or types again what was there before.

Promises: while the text before the cursor leads along an earlier prompt and its answer (typed
through, accepted word by word, taken back and typed again), what followed there is proposed. Texts
are compared byte by byte, since a half-typed word and a finished one have different ids. Knows ids
and bytes, no editor.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.draft.logical import logical_order
from umbrella_engine.interface import Tokenizer
from umbrella_engine.tree import Tree

SOURCE = "previous"
KEPT_ANSWERS = 16
MAX_RETYPED = 64  # tokens; texts that differ for longer are no versions of each other
AHEAD_TOKENS = 24  # of what was there before

# How likely each token is right: of an answer that was given for a text that this one continues,
# and of text that stood behind the cursor before it was taken back.
ANSWERED = 0.97
TAKEN_BACK = 0.6


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no one truth
class Written:
    """A prompt in the order of the document, and what the target made of it."""

    ids: NDArray[np.int64]
    prompt_length: int  # of the ids; the answer comes after


@dataclass(slots=True)
class Rest:
    """What followed once: where its tokens begin and how far they are trusted."""

    tokens: list[int]
    probability: float


class PreviousDrafter:
    """Remembers the latest answers."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._written: deque[Written] = deque(maxlen=KEPT_ANSWERS)

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft; what it sees accepted is remembered. See `Drafter`."""
        before = np.array(logical_order(ids, self._tokenizer.fim)[0], dtype=np.int64)
        draft = PreviousDraft(before, list(reversed(self._written)), self._tokenizer)
        try:
            yield draft
        finally:
            answer = np.array(draft.accepted, dtype=np.int64)
            self._remember(Written(np.concatenate([before, answer]), len(before)))

    def _remember(self, new: Written) -> None:
        """Hold what was written; of two texts one of which starts with the other, the longer."""
        for old in list(self._written):
            shared = _shared(old.ids, new.ids)
            if shared in (len(old.ids), len(new.ids)):
                self._written.remove(old)
                longer = max(new.ids, old.ids, key=len)
                new = Written(longer, min(new.prompt_length, old.prompt_length))
        self._written.append(new)


class PreviousDraft:
    """The guesses for one request."""

    def __init__(
        self, before: NDArray[np.int64], written: Sequence[Written], tokenizer: Tokenizer
    ) -> None:
        self.accepted: list[int] = []
        self._before = before
        self._written = written
        self._tokenizer = tokenizer
        self._rests: list[Rest] | None = None  # found with the first proposal

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Give what followed before, one branch for each way it went on; see `Draft`."""
        began = time.perf_counter()
        if self._rests is None:
            found = (self._rest(one, owed) for one in self._written)
            self._rests = [rest for rest in found if rest is not None]
        tree = Tree()
        for rest in self._rests:
            ahead = rest.tokens[: min(room, AHEAD_TOKENS)]
            tree.add_chain(ahead, source=SOURCE, probability=rest.probability)
        tree.seconds[SOURCE] = time.perf_counter() - began
        return tree

    def accept(self, tokens: Sequence[int]) -> None:
        """Keep what still holds."""
        tokens = list(tokens)
        self.accepted += tokens
        self._rests = [
            Rest(rest.tokens[len(tokens) :], rest.probability)
            for rest in self._rests or []
            if rest.tokens[: len(tokens)] == tokens
        ]

    def _rest(self, written: Written, owed: bytes) -> Rest | None:
        """Give what followed the present text and `owed` when `written` was; None if they differ.

        It begins with what is owed, spelled as it was then where a token began there.
        """
        shared = _shared(written.ids, self._before)
        if len(self._before) - shared > MAX_RETYPED:
            return None
        typed = self._spelled(self._before[shared:].tolist())
        place, passed = shared, b""
        while len(passed) < len(typed) and place < len(written.ids):
            passed += self._tokenizer.token_bytes(int(written.ids[place]))
            place += 1
        tokens = self._up_to_control(written.ids[place : place + MAX_RETYPED].tolist())
        if passed != typed:  # inside a token, or another text
            text = passed[len(typed) :] + self._spelled(tokens)
            tokens = self._tokenizer.encode(text.decode("utf-8", "ignore"))
        ahead = self._spelled(tokens)
        if not passed.startswith(typed) or not ahead.startswith(owed) or ahead == owed:
            return None
        known = len(self._before) >= written.prompt_length
        return Rest(tokens, ANSWERED if known else TAKEN_BACK)

    def _up_to_control(self, tokens: list[int]) -> list[int]:
        """Give the tokens before the first one without text."""
        ends = (place for place, token in enumerate(tokens) if not self._spelled([token]))
        return tokens[: next(ends, len(tokens))]

    def _spelled(self, tokens: Sequence[int]) -> bytes:
        return b"".join(map(self._tokenizer.token_bytes, tokens))


def _shared(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Length of the common start."""
    limit = min(len(left), len(right))
    differing = (left[:limit] != right[:limit]).nonzero()[0]
    return int(differing[0]) if differing.size else limit
