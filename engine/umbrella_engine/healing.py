"""Which tokens may spell the text that was taken back from the prompt.

A prompt cut inside a word ends in ids that the model has never seen in that place. So the prompt
ends earlier and the answer must start with the bytes taken back, the *owed* bytes. A token keeps
the promise when it spells a beginning of them, or all of them and more. Knows bytes and ids, no
model.
"""

from bisect import bisect_left, bisect_right
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from umbrella_engine.errors import EngineError
from umbrella_engine.interface import Tokenizer

_CACHED = 512  # owed strings; typing a word asks for a handful


class Healing:
    """The vocabulary in byte order: all tokens with a common start are one slice of it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.vocab_size = tokenizer.vocab_size
        self._tokenizer = tokenizer
        pieces = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
        with_text = [token for token, piece in enumerate(pieces) if piece]  # no control tokens
        with_text.sort(key=pieces.__getitem__)
        self._ids = np.array(with_text, dtype=np.int64)
        self._pieces = [pieces[token] for token in with_text]
        self._above = b"\xff" * (max(map(len, self._pieces), default=0) + 1)
        self._cached = lru_cache(maxsize=_CACHED)(self._find)

    def allowed(self, owed: bytes) -> NDArray[np.int64]:
        """Ids, ascending and read-only, that may come next when `owed` (not empty) is owed.

        Raises EngineError when no token fits: the vocabulary cannot spell these bytes.
        """
        if not owed:
            raise ValueError("nothing is owed, so every token is allowed")
        return self._cached(owed)

    def after(self, owed: bytes, token: int) -> bytes | None:
        """Give what is still owed after `token`, b"" when all is paid, None if it does not fit."""
        piece = self._tokenizer.token_bytes(token)
        if not piece:
            return None
        if piece.startswith(owed):
            return b""
        return owed[len(piece) :] if owed.startswith(piece) else None

    def _find(self, owed: bytes) -> NDArray[np.int64]:
        reaching = slice(
            bisect_left(self._pieces, owed), bisect_left(self._pieces, owed + self._above)
        )
        slices = [reaching]
        for length in range(1, len(owed)):
            start = owed[:length]
            slices.append(
                slice(bisect_left(self._pieces, start), bisect_right(self._pieces, start))
            )
        ids = np.sort(np.concatenate([self._ids[part] for part in slices]))
        if not ids.size:
            raise EngineError(
                f"No token of the vocabulary spells the start of {owed!r}: it lacks single bytes. "
                "The prompt was not run; use a model with a byte-complete vocabulary."
            )
        ids.flags.writeable = False
        return ids
