"""Runs of words of a text as numbers: equal runs are equal numbers, in every process."""

import re
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_WORDS: Final = re.compile(r"\w+|[^\w\s]")
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)


def word_runs(text: str, length: int) -> NDArray[np.uint64]:
    """Give the different runs of `length` words, ascending; none where there are fewer words."""
    words = np.array([crc32(word.encode()) for word in _WORDS.findall(text)], dtype=np.uint64)
    if len(words) < length:
        return np.zeros(0, dtype=np.uint64)
    runs = np.zeros(len(words) - length + 1, dtype=np.uint64)
    for place in range(length):  # a polynomial modulo 2**64
        runs = runs * _BASE + words[place : place + len(runs)]
    return np.unique(runs)
