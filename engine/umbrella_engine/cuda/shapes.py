"""Trees that a device grows by itself, and the choice between them.

Every shape is captured as a graph of its own, so there are few. The choice is made before each
step from what a step of each costs, measured once at load, and from how well recent drafts did.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from umbrella_engine.config import DraftConfig, DraftPreset

WEIGHT_OF_NEWS = 0.1  # of one drafted level in the running estimate
START = 0.85  # chance that the target agrees with the draft's favourite, before anything is known
# how much of the rest the further candidates of a level catch: ranks 2 and 3-4 hold about .5 and .2
# of what rank 1 misses (Qwen2.5-Coder pair on code)
CAUGHT = {1: 0.0, 2: 0.5, 4: 0.7, 8: 0.8}
HOST_STEP = 1.4  # time of a step that the host drives, in plain steps: a wider tree, two waits
PROBE_EVERY = 32  # steps without a draft, after which drafting is tried again


@dataclass(frozen=True, slots=True)
class TreeShape:
    """Levels of the draft's tree and nodes in each; a width of 1 is a chain, depth 0 no tree."""

    depth: int
    width: int = 1

    @property
    def n_nodes(self) -> int:
        """Nodes below the root."""
        return self.depth * self.width


PLAIN = TreeShape(0)
SHAPES = (
    TreeShape(2),
    TreeShape(4),
    TreeShape(4, 4),
    TreeShape(6, 4),
    TreeShape(8, 4),
)


def shapes_within(depth: int, width: int, max_nodes: int) -> tuple[TreeShape, ...]:
    """Give the shapes that the limits allow, no tree always among them."""
    fitting = (
        shape
        for shape in SHAPES
        if shape.depth <= depth and shape.width <= width and shape.n_nodes <= max_nodes
    )
    return (PLAIN, *fitting)


def shapes_of(preset: DraftPreset, config: DraftConfig) -> tuple[TreeShape, ...]:
    """Give the trees that a preset allows; those which name one way of drafting always draft."""
    allowed = shapes_within(config.model_depth, config.model_width, config.max_nodes)
    if preset in {"none", "suffix"}:
        return (PLAIN,)
    if preset == "chain":
        return tuple(shape for shape in allowed if shape.depth and shape.width == 1) or (PLAIN,)
    if preset in {"static", "dynamic"}:
        return tuple(shape for shape in allowed if shape.depth and shape.width > 1) or (PLAIN,)
    return allowed


def expected_tokens(shape: TreeShape, agreement: float) -> float:
    """Give the mean number of tokens that a step settles, the target's own included."""
    level = _level(agreement, shape.width)
    return sum(level**place for place in range(shape.depth + 1))


def _level(agreement: float, width: int) -> float:
    """Give the chance that the target's token is among a level's candidates."""
    return agreement + (1 - agreement) * CAUGHT[width]


class Choice:
    """Picks the shape for the next step; deterministic in what it was told."""

    def __init__(self, costs: Mapping[TreeShape, float], allowed: Collection[TreeShape]) -> None:
        """`costs`: time of one step of each shape, plain steps included, in any one unit."""
        self._costs = {shape: costs[shape] for shape in allowed}
        self._host_step = HOST_STEP * costs[PLAIN]
        self._agreement = START
        self._steps_without = 0

    def next(self) -> TreeShape:
        """Give the shape with the most tokens for its time, now and then one that drafts."""
        drafting = [shape for shape in self._costs if shape.depth]
        if drafting and self._steps_without >= PROBE_EVERY:
            return max(drafting, key=lambda shape: self._rate(shape, START))
        return max(self._costs, key=lambda shape: self._rate(shape, self._agreement))

    def learn(self, shape: TreeShape, accepted: int) -> None:
        """Take note of how many drafted tokens a step of this shape kept."""
        if not shape.depth:
            self._steps_without += 1
            return
        self._steps_without = 0
        for agreed in _outcomes(shape, accepted):
            # a level that agreed may have done so by another candidate than its favourite
            news = self._agreement / _level(self._agreement, shape.width) if agreed else 0.0
            self._agreement += WEIGHT_OF_NEWS * (news - self._agreement)

    @property
    def host_step_pays(self) -> float:
        """Drafted tokens that a step of the host must promise to be worth its time."""
        rate = max(self._rate(shape, self._agreement) for shape in self._costs)
        return rate * self._host_step - 1.0

    def _rate(self, shape: TreeShape, agreement: float) -> float:
        return expected_tokens(shape, agreement) / self._costs[shape]


def _outcomes(shape: TreeShape, accepted: int) -> Sequence[bool]:
    """Tell level by level whether the target agreed, as far as it went."""
    return [True] * accepted + ([False] if accepted < shape.depth else [])
