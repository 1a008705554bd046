"""Texts that must not be learned, such as a benchmark's: told by runs of words they share."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from umbrella_engine.distill.word_runs import word_runs

RUN: Final = 13  # words, as is customary for contamination


class Excluded:
    """Runs of words of texts that are kept out."""

    def __init__(self, texts: Iterable[str]) -> None:
        runs = [word_runs(text, RUN) for text in texts]
        self._runs = np.unique(np.concatenate(runs)) if runs else np.zeros(0, dtype=np.uint64)

    def overlaps(self, text: str) -> bool:
        """Say whether `text` shares a run of words with any of them."""
        if not len(self._runs):
            return False
        return bool(np.isin(word_runs(text, RUN), self._runs, assume_unique=True).any())


def texts_of(path: Path) -> Iterator[str]:
    """Give the texts of a file: all strings of a JSON-lines file (.gz or not), else the file."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if ".jsonl" not in path.suffixes:
        yield data.decode("utf-8", "replace")
        return
    for line in data.splitlines():
        yield from (value for value in json.loads(line).values() if isinstance(value, str))
