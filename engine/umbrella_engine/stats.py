"""What one request cost: counters and stage times, filled in by the engine, read by the daemon.

Drafted and accepted nodes are counted by source (which drafter proposed them first) and by position
(how many tokens behind the last settled one, from 1), so that each source can be judged by itself.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from umbrella_engine.tree import Tree


@dataclass(frozen=True, slots=True)
class Verified:
    """A tree that the target read, what it kept of it, and the token it added."""

    tree: Tree
    path: tuple[int, ...]  # nodes from the root's child down
    bonus: int


@dataclass(slots=True)
class Stats:
    """Counters of one request; times are in milliseconds."""

    prompt_tokens: int = 0
    reused_tokens: int = 0  # prompt tokens whose keys and values were already in the lane
    prefilled_tokens: int = 0  # prompt tokens computed by this request
    target_steps: int = 0  # target forwards that verified a tree (prefill chunks not counted)
    drafted_tokens: int = 0  # tree nodes offered to the target
    accepted_tokens: int = 0  # tree nodes kept, the bonus token of each step not counted
    generated_tokens: int = 0
    drafted_by: dict[str, int] = field(default_factory=dict)  # nodes by source
    accepted_by: dict[str, int] = field(default_factory=dict)
    # nodes by source and position, the first position first
    drafted_at: dict[str, list[int]] = field(default_factory=dict)
    accepted_at: dict[str, list[int]] = field(default_factory=dict)
    draft_us: dict[str, float] = field(default_factory=dict)  # source → microseconds
    ms: dict[str, float] = field(default_factory=dict)  # stage → milliseconds
    verified: list[Verified] | None = None  # every tree, where somebody asks for them by a list

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside the block to stage `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - start) * 1e3

    def settle(self, tree: Tree, path: Sequence[int], bonus: int) -> None:
        """Count one verified tree and the nodes of it that the target kept before `bonus`."""
        if self.verified is not None:
            self.verified.append(Verified(tree, tuple(path), bonus))
        self.target_steps += 1
        self.drafted_tokens += len(tree)
        self.accepted_tokens += len(path)
        for node in range(len(tree)):
            _count(self.drafted_by, self.drafted_at, tree, node)
        for node in path:
            _count(self.accepted_by, self.accepted_at, tree, node)
        for source, seconds in tree.seconds.items():
            self.draft_us[source] = self.draft_us.get(source, 0.0) + seconds * 1e6

    def settle_levels(self, offered: Mapping[str, Sequence[int]], kept: Sequence[str]) -> None:
        """Count a tree of the device's own.

        offered: nodes by source and position; kept: the source of each accepted node.
        """
        self.target_steps += 1
        self.drafted_tokens += sum(map(sum, offered.values()))
        self.accepted_tokens += len(kept)
        for source, levels in offered.items():
            for place, nodes in enumerate(levels):
                _add(self.drafted_by, self.drafted_at, source, place, nodes)
        for place, source in enumerate(kept):
            _add(self.accepted_by, self.accepted_at, source, place, 1)


def _count(by: dict[str, int], at: dict[str, list[int]], tree: Tree, node: int) -> None:
    """Add one node to the counters of its source."""
    _add(by, at, tree.sources[node], tree.depths[node] - 1, 1)


def _add(by: dict[str, int], at: dict[str, list[int]], source: str, place: int, nodes: int) -> None:
    """Add nodes of one source at one place, the first place is 0."""
    by[source] = by.get(source, 0) + nodes
    places = at.setdefault(source, [])
    places += [0] * (place + 1 - len(places))
    places[place] += nodes
