"""Which way of drafting is fastest on this machine: milliseconds a token, from measured curves.

Pure: curves and acceptance go in, plans come out. A plan's figures are predicted from acceptance by
rank, or measured by a trial, which alone can tell of trees that follow the draft's probabilities.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from umbrella_engine.shape import Shape, chain, expected_tokens
from umbrella_engine.shape.costs import Costs
from umbrella_engine.shape.sequoia import Programme

Preset = Literal["none", "chain", "static", "dynamic", "suffix", "merged", "adaptive"]
SIMPLEST: tuple[Preset, ...] = (
    "none",
    "suffix",
    "chain",
    "static",
    "dynamic",
    "merged",
    "adaptive",
)
MARGIN = 0.01  # by so much a plan must be faster than a simpler one


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way of drafting and what it brings."""

    preset: Preset
    tokens: float  # a step settles on average, the bonus token included
    ms: float  # a step takes on average
    shape: Shape = Shape()  # chain and static
    depth: int = 0  # draft passes at most
    nodes: int = 0  # of the tree at most

    @property
    def ms_per_token(self) -> float:
        """What is minimised."""
        return self.ms / self.tokens


def predict(
    acceptance: Sequence[float], costs: Costs, max_nodes: int, max_depth: int
) -> list[Plan]:
    """Give the plans that acceptance by rank can judge: no draft, the best chain, the best tree."""
    plans = [Plan("none", 1.0, costs.target.at(1))]
    if costs.draft is None or max_depth < 1 or max_nodes < 1:
        return plans
    chains = (chain(depth) for depth in range(1, min(max_depth, max_nodes) + 1))
    plans.append(fastest(_plan("chain", shape, acceptance, costs) for shape in chains))
    programme = Programme(acceptance, max_nodes, max_depth)
    trees = {
        programme.shape(budget, depth)
        for depth in range(1, max_depth + 1)
        for budget in range(depth, max_nodes + 1)
    }
    plans.append(fastest(_plan("static", shape, acceptance, costs) for shape in trees))
    return plans


def fastest(plans: Iterable[Plan]) -> Plan:
    """Give the plan with the fewest milliseconds a token, the simplest among nearly equal ones."""
    known = list(plans)
    limit = min(plan.ms_per_token for plan in known) * (1 + MARGIN)
    near = [plan for plan in known if plan.ms_per_token <= limit]
    return min(near, key=lambda p: (SIMPLEST.index(p.preset), len(p.shape), p.ms_per_token))


def _plan(preset: Preset, shape: Shape, acceptance: Sequence[float], costs: Costs) -> Plan:
    tokens = expected_tokens(shape, acceptance)
    ms = costs.step(len(shape), shape.rows)
    return Plan(preset, tokens, ms, shape, depth=shape.depth, nodes=len(shape))
