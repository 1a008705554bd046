"""Texts that are there twice, exactly or nearly: MinHash over runs of words, compared by bands.

Two texts that share about three quarters of their runs are found nearly always, texts that share
less than half of them seldom. Deterministic.
"""

import hashlib
from typing import Final

import numpy as np

from umbrella_engine.distill.word_runs import word_runs

_RUN: Final = 5  # words
_FEWEST_RUNS: Final = 8  # of a text that is compared for likeness
_BANDS: Final = 8
_HASHES: Final = 5  # of a band


class Seen:
    """Texts so far; `add` says whether a text is new."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._factors = rng.integers(1, 1 << 62, (_BANDS * _HASHES, 1), dtype=np.uint64) * 2 + 1
        self._exact: set[bytes] = set()
        self._bands: set[tuple[int, bytes]] = set()

    def add(self, text: str) -> bool:
        """Take note of `text`; False where it, or nearly it, was seen before."""
        digest = hashlib.sha256(text.encode()).digest()
        if digest in self._exact:
            return False
        self._exact.add(digest)
        keys = self._keys(text)
        if any(key in self._bands for key in keys):
            return False
        self._bands.update(keys)
        return True

    def _keys(self, text: str) -> list[tuple[int, bytes]]:
        runs = word_runs(text, _RUN)
        if len(runs) < _FEWEST_RUNS:
            return []
        mixed = self._factors * runs  # modulo 2**64; the high bits are the well mixed ones
        bands = (mixed >> np.uint64(20)).min(axis=1).reshape(_BANDS, _HASHES)
        return [(number, band.tobytes()) for number, band in enumerate(bands)]
