"""How sure a suggestion must be in this window, from what became of the ones before.

Promises: pure; starts at the user's own setting, moves by powers of two so that it moves rarely,
and never without being told what was displayed. Knows no editor.
"""

import math
from collections.abc import Mapping
from typing import Final

from umbrella_daemon.settings import CompletionSettings

USUAL_RATE: Final = 0.25  # of displayed suggestions that are accepted, where the setting fits
PRIOR: Final = 20  # suggestions that the usual rate is worth
LEAST_FACTOR: Final = 0.25
LARGEST_FACTOR: Final = 8.0
LARGEST: Final = 0.5


def least_confidence(settings: CompletionSettings, counts: Mapping[str, int]) -> float:
    """Give the smallest probability that is shown, by the window's counts of fates.

    `counts` are those of `Acceptance`. Who takes little sees only what is surer; who takes much
    sees more. The setting itself holds where it is 0, where adapting is off, and for editors that
    do not tell what they display.
    """
    base, displayed = settings.min_confidence, counts["displayed"]
    taken = counts["accepted"] + counts["partially_accepted"]
    if not settings.adapt_confidence or base == 0 or displayed < taken or displayed == 0:
        return base
    rate = (taken + PRIOR * USUAL_RATE) / (displayed + PRIOR)
    factor = 2.0 ** round(math.log2(USUAL_RATE / rate))
    adapted = base * min(LARGEST_FACTOR, max(LEAST_FACTOR, factor))
    return min(adapted, max(base, LARGEST))
