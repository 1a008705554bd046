"""Documents as rows of token ids, laid out as prompts are: one document a row, never two.

A row with a hole begins as the daemon's prompts do, in the order that the target's tokens stand
for, and what an answer must say follows: `psm`, `spm` and `sp` with the typed part of the line
before the hole, healed as the daemon heals it, `anchored` with the cursor's whole line behind the
middle token, `sp` without that token. Plain rows are text alone. Rows are made by several processes
and do not depend on how many.
"""

import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from umbrella_engine.distill.corpus import Document
from umbrella_engine.distill.holes import Hole, cut
from umbrella_engine.interface import FimTokens, Progress, Report, Tokenizer
from umbrella_engine.tokenizer import load_tokenizer

LAYOUTS: Final = {  # by the order of the target's tokens: shares of rows
    "psm": {"anchored": 0.5, "psm": 0.3, "plain": 0.2},
    "spm": {"spm": 0.8, "plain": 0.2},
    "sp": {"sp": 0.8, "plain": 0.2},
}
CHARACTERS: Final = 4  # read for each token of a row; code has 3 to 4
MOST_MIDDLE: Final = 160  # tokens; longer ones are cut and do not end
SUFFIX_TOKENS: Final = (32, 256)  # at least, at most
TOKENS_A_ROW: Final = 700  # of a document, for each row that is cut from it
MOST_ROWS: Final = 12  # of one document
BATCH: Final = 64  # documents that a process takes at once
_UNFINISHED: Final = re.compile(r"[ \t]*\w*\Z")


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids; what the model is to write begins at `answer` (at the end, in plain rows)."""

    ids: list[int]
    answer: int


@dataclass(frozen=True, slots=True)
class Layouter:
    """Cuts rows from documents."""

    tokenizer: Tokenizer
    fim: FimTokens | None  # None: plain rows only
    end: int  # the id that ends a middle
    length: int  # tokens of a row at most

    def rows(self, document: Document, rng: random.Random) -> Iterator[Row]:
        """Give the rows of a document, the more the longer it is."""
        size = len(document.text) / CHARACTERS
        for _ in range(max(1, min(MOST_ROWS, round(size / TOKENS_A_ROW)))):
            row = self._row(document, rng)
            if row is not None:
                yield row

    def _row(self, document: Document, rng: random.Random) -> Row | None:
        room = CHARACTERS * self.length
        text = document.text
        start = rng.randrange(max(1, len(text) - room // 2))
        start = 0 if start < room // 4 else text.rfind("\n", 0, start) + 1
        window = text[start : start + room]
        if self.fim is None:
            return self._plain(window)
        shares = LAYOUTS[self.fim.order]
        (layout,) = rng.choices([*shares], [*shares.values()])
        if layout == "plain":
            return self._plain(window)
        hole = cut(window, document.language, rng)
        if hole is None:
            return self._plain(window)
        return self._filled(window, hole, layout, rng)

    def _plain(self, window: str) -> Row | None:
        ids = self.tokenizer.encode(window)[: self.length]
        return Row(ids, len(ids)) if len(ids) > 16 else None

    def _filled(self, window: str, hole: Hole, layout: str, rng: random.Random) -> Row | None:
        fim, tokenizer = self.fim, self.tokenizer
        assert fim is not None, "asked for by a layout with a hole"
        line = window.rfind("\n", 0, hole.start) + 1 if layout == "anchored" else 0
        before = tokenizer.encode(window[:line]) if line else []
        joined = tokenizer.encode(window[line : hole.end])
        kept = self._kept(joined, window[line : hole.start])
        middle = joined[kept:]
        ends = [self.end] if len(middle) <= MOST_MIDDLE else []
        middle = [*middle[:MOST_MIDDLE], *ends]
        after = self._after(window[hole.end :], rng.randint(*SUFFIX_TOKENS))
        head, typed = ([*before], joined[:kept]) if line else (joined[:kept], [])
        room = self.length - len(after) - len(typed) - len(middle) - 3
        if room < 16 or not middle:
            return None
        head = head[-room:]
        parts = {
            "anchored": [fim.prefix, *head, fim.suffix, *after, fim.middle, *typed],
            "psm": [fim.prefix, *head, fim.suffix, *after, fim.middle],
            "spm": [fim.suffix, *after, fim.prefix, *head, fim.middle],
            "sp": [fim.suffix, *after, fim.prefix, *head],
        }
        name = layout if line or layout != "anchored" else "psm"
        return Row([*parts[name], *middle], len(parts[name]))

    def _kept(self, ids: Sequence[int], typed: str) -> int:
        """Count the tokens that stay where the text up to the cursor is healed."""
        found = _UNFINISHED.search(typed)
        healed = len(typed) - max(1, len(found[0]) if found else 1)
        place = len(typed[: max(0, healed)].encode())
        ends = list(accumulate(len(self.tokenizer.token_bytes(token)) for token in ids))
        return next((count for count, end in enumerate(ends) if end > place), 0)

    def _after(self, text: str, budget: int) -> list[int]:
        """Give the start of the text behind the hole, cut at the end of a line."""
        head = text[: CHARACTERS * budget]
        ids = self.tokenizer.encode(head)
        if len(ids) <= budget and len(head) == len(text):
            return ids
        data = b"".join(map(self.tokenizer.token_bytes, ids[:budget]))
        fitting = data.decode("utf-8", "ignore")
        whole = fitting[: fitting.rfind("\n") + 1] or fitting
        return self.tokenizer.encode(whole)[:budget]


def make_rows(
    documents: Sequence[Document],
    folder: Path,
    fim: FimTokens | None,
    *,
    length: int,
    most: int,
    seed: int,
    processes: int,
    report: Report,
) -> list[Row]:
    """Cut rows from documents, in their order and again from the start until there are `most`.

    folder: the target's, for its tokenizer. A second time around the cuts differ; never more than
    four times.
    """
    rows: list[Row] = []
    with ProcessPoolExecutor(
        processes, get_context("spawn"), initializer=_begin, initargs=(folder, fim, length)
    ) as pool:
        for turn in range(4):
            batches = [documents[at : at + BATCH] for at in range(0, len(documents), BATCH)]
            seeds = [seed + 7919 * (turn * len(batches) + number) for number in range(len(batches))]
            for made in pool.map(_batch_rows, batches, seeds):
                rows += made
                report(Progress("reading", "cutting rows", min(len(rows), most), most))
                if len(rows) >= most:
                    pool.shutdown(cancel_futures=True)
                    return rows[:most]
    return rows


_layouter: Layouter | None = None  # of a process of the pool


def _begin(folder: Path, fim: FimTokens | None, length: int) -> None:
    global _layouter
    tokenizer = load_tokenizer(folder)
    ends = tokenizer.stop_ids - ({fim.prefix, fim.suffix, fim.middle} if fim else set())
    _layouter = Layouter(tokenizer, fim, min(ends), length)


def _batch_rows(documents: Sequence[Document], seed: int) -> list[Row]:
    assert _layouter is not None, "the pool's processes begin with a layouter"
    rng = random.Random(seed)
    return [row for document in documents for row in _layouter.rows(document, rng)]
