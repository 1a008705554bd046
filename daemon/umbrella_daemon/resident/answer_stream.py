"""An answer as a row of pieces that can be shown: whole characters, nothing that may yet be cut.

Takes tokens, gives text with the tokens that spell it. What the answer owes (see `prompt`) is left
out. Promises: the pieces join to the answer as its rules end it; a character that the answer ends
inside of is left out, bytes that can be no character show as U+FFFD.
"""

from collections import deque
from collections.abc import Sequence

from umbrella_daemon.resident.endings import Rule
from umbrella_daemon.wire import Token
from umbrella_engine.interface import Step, Tokenizer

Piece = tuple[str, tuple[Token, ...]]


class AnswerStream:
    """One answer that grows."""

    def __init__(self, tokenizer: Tokenizer, owed: bytes, rules: Sequence[Rule]) -> None:
        self._tokenizer = tokenizer
        self._unpaid = len(owed)
        self._rules = rules
        self._data = bytearray()
        self._given = 0  # bytes
        self._tokens: deque[tuple[int, int, Token]] = deque()  # start, end; not given yet
        self.ended = False  # by a rule

    def push(self, step: Step) -> None:
        """Take the next tokens; those after the end are ignored."""
        since = len(self._data)
        for place, token in enumerate(step.tokens):
            piece = self._tokenizer.token_bytes(token)
            paid, piece = piece[: self._unpaid], piece[self._unpaid :]
            self._unpaid -= len(paid)
            start = len(self._data)
            self._data += piece
            logprob = step.logprobs[place] if place < len(step.logprobs) else 0.0
            if piece or not paid:
                self._tokens.append((start, len(self._data), Token(token, piece, logprob)))
        ends = [end for rule in self._rules if (end := rule.end(self._data, since)) is not None]
        if ends:
            self.ended = True
            del self._data[max(self._given, min(ends)) :]

    def take(self, *, last: bool = False) -> Piece:
        """Give what can be shown and was not given before; all there is where it is the `last`."""
        limit = len(self._data)
        if not (last or self.ended):
            limit = min((rule.shown(self._data) for rule in self._rules), default=limit)
        limit = max(self._given, _whole(self._data, limit))
        text = self._data[self._given : limit].decode(errors="replace")
        self._given = limit
        tokens = []
        while self._tokens and self._is_due(*self._tokens[0][:2], last=last or self.ended):
            tokens.append(self._tokens.popleft()[2])
        return text, tuple(tokens)

    def _is_due(self, start: int, end: int, *, last: bool) -> bool:
        """Whether a token goes with what was given; at the end all that begin in it."""
        return start < self._given if last else end <= self._given


def _whole(data: bytearray, end: int) -> int:
    """Place before `end` where no character is cut in two."""
    for back in range(1, min(3, end) + 1):
        byte = data[end - back]
        if byte & 0b1100_0000 == 0b1100_0000:
            needed = 2 + (byte >= 0b1110_0000) + (byte >= 0b1111_0000)
            return end - back if needed > back else end
        if byte < 0b1000_0000:
            break
    return end
