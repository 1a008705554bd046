"""Which tokens each lane holds, and which lane a new prompt should use. Plain ints, no tensors.

Reuse is token-exact: a lane serves a prompt as far as both start with the same ids. The outcomes:

- *extend*: the whole lane is a prefix of the prompt; nothing is lost.
- *truncate*: most of the lane is (the usual keystroke: the old suggestion is cut off).
- *fork*: the lane is in use or would lose much; its shared part is copied to another lane.
- *fresh*: nothing worth sharing.

Fork and fresh take an empty lane or evict the least recently used one. The number of lanes follows
from a budget in bytes (`lanes_for_budget`), so eviction is by bytes in steps of one lane.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from umbrella_engine.errors import EngineError

MIN_SHARED_TO_FORK = 16  # below this, recomputing is as cheap as copying
MAX_LANES = 16


@dataclass(slots=True)
class Lane:
    """One lane: `tokens[i]` is the token whose keys and values lie in slot `i`."""

    index: int
    tokens: list[int] = field(default_factory=list)
    in_use: bool = False
    last_used: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a prompt goes: `lane` has `reused` of its tokens once `copy_from` is copied."""

    lane: Lane
    reused: int
    copy_from: Lane | None = None  # its first `reused` slots must be copied to `lane` first


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    limit = min(len(a), len(b))
    if a[:limit] == b[:limit]:
        return limit
    low, high = 0, limit - 1  # a[:low] == b[:low] holds, a[:high + 1] == b[:high + 1] does not
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def lanes_for_budget(budget_bytes: int, lane_bytes: int) -> int:
    """How many lanes fit; at least two, so that one document's lane survives another's request."""
    return max(2, min(MAX_LANES, budget_bytes // lane_bytes))


class PrefixCache:
    """The lanes of one model and the policy over them."""

    def __init__(self, n_lanes: int) -> None:
        self.lanes = [Lane(index) for index in range(n_lanes)]
        self._clock = 0

    def acquire(self, ids: Sequence[int]) -> Placement:
        """Choose a lane for `ids` and mark it in use; its tokens become `ids[:reused]`.

        At least the last id is left to compute, since its logits are needed.
        Raises EngineError when every lane is in use.
        """
        ids = list(ids)
        shared, best = max(
            ((common_prefix(lane.tokens, ids), lane) for lane in self.lanes),
            key=lambda pair: (pair[0], pair[1].last_used),
        )
        reused = min(shared, len(ids) - 1)
        if not best.in_use and 2 * shared >= len(best.tokens):
            return self._take(best, ids, reused, None)
        free = [lane for lane in self.lanes if not lane.in_use]
        if not free:
            raise EngineError(f"all {len(self.lanes)} cache lanes are in use by other requests")
        target = min(free, key=lambda lane: (bool(lane.tokens), lane.last_used))
        if target is best:
            return self._take(best, ids, reused, None)
        if reused < MIN_SHARED_TO_FORK:
            return self._take(target, ids, 0, None)
        return self._take(target, ids, reused, best)

    def release(self, lane: Lane) -> None:
        """Give the lane back; its tokens stay for later prompts."""
        lane.in_use = False

    def _take(self, lane: Lane, ids: list[int], reused: int, copy_from: Lane | None) -> Placement:
        self._clock += 1
        lane.in_use = True
        lane.last_used = self._clock
        lane.tokens = ids[:reused]
        return Placement(lane, reused, copy_from)
