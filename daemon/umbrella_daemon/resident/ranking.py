"""Which pieces of other files help most with the place of the cursor.

Similar pieces share names with the lines around the cursor, and rare names count for more than
those of every file (Jaccard's index, each name weighted by its rarity). Definitions of imported
names and pieces edited lately count for more. Promises: pure; no piece twice, none that stands in
the document already, none that looks as if it held a secret; an order that does not depend on
scores. Knows no clients and no prompts.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from umbrella_daemon.entropy import holds_secret
from umbrella_daemon.resident.chunks import Chunk, identifiers

LINES_BEFORE: Final = 40  # around the cursor, whose names are looked for
LINES_AFTER: Final = 10
_LEAST: Final = 0.02  # similarity below which a piece is none of this place's business
_IMPORTED: Final = 2.5  # times as good is a piece that defines what is imported
_EDITED: Final = 1.5
_BETTER: Final = 1.25  # times as good has to be what replaces a selection
_SAME: Final = 0.7  # share of lines from which on two pieces say the same

_IMPORTS: Final = re.compile(
    r"^\s*from\s+[\w.]+\s+import\s+\(?([^)#\n]+(?:\n[^)#]*)?)|^\s*import\s*\{([^}]*)\}|"
    r"^\s*import\s+(\w+)\s+from|^\s*use\s+[\w:]+::\{?([^;}]+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Place:
    """The cursor in its document."""

    path: str
    before: str
    after: str

    def near(self) -> frozenset[str]:
        """Names around the cursor."""
        before = self.before.rsplit("\n", LINES_BEFORE)[-LINES_BEFORE:]
        after = self.after.split("\n", LINES_AFTER)[:LINES_AFTER]
        return identifiers("\n".join([*before, *after]))

    def imported(self) -> frozenset[str]:
        """Names that the document imports one by one."""
        found = _IMPORTS.findall(self.before)
        return identifiers("\n".join("\n".join(groups) for groups in found))


def select(
    place: Place,
    pieces: Collection[Chunk],
    edited: Collection[Chunk],
    held: Sequence[Chunk],
    max_characters: int,
) -> tuple[Chunk, ...]:
    """Give the best of `pieces` for `place`, in order of path and line.

    `held` is what was selected before; it stays unless something clearly better is there.
    """
    scores = _scores(place, pieces, edited)
    ranked = sorted(scores, key=lambda piece: (-scores[piece], piece.path, piece.line))
    own = Chunk(place.path, 0, place.before + "\n" + place.after).lines
    chosen = _fitting(ranked, own, max_characters)
    kept = [piece for piece in held if piece in scores]
    gain, loss = (sum(scores[piece] for piece in some) for some in (chosen, kept))
    if len(kept) == len(held) and held and gain < _BETTER * loss:
        return tuple(held)
    return tuple(sorted(chosen, key=lambda piece: (piece.path, piece.line)))


def _scores(
    place: Place, pieces: Collection[Chunk], edited: Collection[Chunk]
) -> dict[Chunk, float]:
    """Give how much each piece has to do with `place`, those with too little left out."""
    near, imported = place.near(), place.imported()
    known = Counter(name for piece in pieces for name in piece.identifiers)
    weight = {name: math.log((1 + len(pieces)) / count) for name, count in known.items()}
    wanted = sum(weight.get(name, 0.0) for name in near)
    scores: dict[Chunk, float] = {}
    for piece in pieces:
        shared = sum(weight[name] for name in near & piece.identifiers)
        union = wanted + sum(weight[name] for name in piece.identifiers) - shared
        score = shared / union if union > 0 else 0.0
        if imported & near & piece.defines:
            score = max(score, _LEAST) * _IMPORTED
        if piece in edited:
            score *= _EDITED
        if score >= _LEAST:
            scores[piece] = score
    return scores


def _fitting(ranked: Iterable[Chunk], own: frozenset[str], max_characters: int) -> list[Chunk]:
    """Take pieces in their order as far as there is room."""
    chosen: list[Chunk] = []
    room = max_characters
    for piece in ranked:
        cost = len(piece.text) + len(piece.path) + 4
        said = (own, *(other.lines for other in chosen))
        if cost > room or any(_repeats(piece, lines) for lines in said):
            continue
        if holds_secret(piece.text):
            continue
        chosen.append(piece)
        room -= cost
    return chosen


def _repeats(piece: Chunk, lines: frozenset[str]) -> bool:
    return len(piece.lines & lines) >= _SAME * len(piece.lines)
