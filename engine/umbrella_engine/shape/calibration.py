"""From a draft's own probability to how often it is right, as measured.

Draft models are under-confident on code: what they give 40 % is right half the time. The map is
monotone, straight between knots in log-odds, and goes on with slope one beyond them, so that order
is kept and nothing reaches certainty. Without knots it changes nothing.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

SMALLEST = 1e-6
BINS = 20  # equally many guesses in each
FEWEST = 40  # guesses in a bin


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Knots of the map, both in log-odds, ascending."""

    said: tuple[float, ...] = ()
    right: tuple[float, ...] = ()

    def __call__(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give calibrated probabilities; the argument's shape is kept."""
        if not self.said:
            return probabilities
        said = _log_odds(probabilities)
        inside = np.interp(said, self.said, self.right)
        beyond = np.minimum(said - self.said[0], 0) + np.maximum(said - self.said[-1], 0)
        mapped: NDArray[np.float64] = 1 / (1 + np.exp(-(inside + beyond)))
        return mapped


IDENTITY = Calibration()


def fit(said: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Fit the map to guesses: the probability the draft gave, and whether the target agreed.

    Bins of equally many guesses, then isotonic regression (pool adjacent violators). With too few
    guesses for two bins the map stays the identity.
    """
    bins = min(BINS, len(said) // FEWEST)
    if bins < 2:
        return IDENTITY
    order = np.argsort(np.asarray(said), kind="stable")
    odds = _log_odds(np.asarray(said, dtype=np.float64)[order])
    hits = np.asarray(right, dtype=np.float64)[order]
    blocks = [  # mean log-odds, hits, guesses
        (float(part.mean()), float(hits[place].sum()), len(part))
        for place in np.array_split(np.arange(len(odds)), bins)
        for part in [odds[place]]
    ]
    pooled: list[tuple[float, float, int]] = []
    for block in blocks:
        pooled.append(block)
        while len(pooled) > 1 and _rate(pooled[-2]) >= _rate(pooled[-1]):
            pooled.append(_pool(pooled.pop(), pooled.pop()))
    if len(pooled) < 2:
        return IDENTITY
    return Calibration(
        tuple(block[0] for block in pooled),
        tuple(float(_log_odds(np.array(_rate(block)))) for block in pooled),
    )


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    odds: NDArray[np.float64] = np.log(clipped) - np.log1p(-clipped)
    return odds


def _rate(block: tuple[float, float, int]) -> float:
    """Share of right guesses; half a hit and half a miss more keep it off 0 and 1."""
    return (block[1] + 0.5) / (block[2] + 1)


def _pool(
    later: tuple[float, float, int], earlier: tuple[float, float, int]
) -> tuple[float, float, int]:
    count = earlier[2] + later[2]
    mean = (earlier[0] * earlier[2] + later[0] * later[2]) / count
    return mean, earlier[1] + later[1], count
