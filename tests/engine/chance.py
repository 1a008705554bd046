"""Whether counts fit a distribution: Pearson's chi-square test."""

from collections.abc import Mapping
from typing import Any

import torch

RARE = 5.0  # expected counts below this are counted together, as the test demands


def p_value(observed: Mapping[Any, int], expected: Mapping[Any, float]) -> float:
    """How probable counts at least this far off are, if `expected` (summing to 1) is true."""
    total = sum(observed.values())
    if any(key not in expected or expected[key] == 0 for key in observed):
        return 0.0  # something happened that cannot
    cells: list[tuple[float, float]] = []
    rare = [0.0, 0.0]
    for key, chance in expected.items():
        wanted, found = chance * total, float(observed.get(key, 0))
        if wanted >= RARE:
            cells.append((wanted, found))
        else:
            rare[0] += wanted
            rare[1] += found
    if rare[0] >= RARE:
        cells.append((rare[0], rare[1]))
    statistic = sum((found - wanted) ** 2 / wanted for wanted, found in cells)
    degrees = torch.tensor((len(cells) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(degrees, torch.tensor(statistic / 2).double()))
