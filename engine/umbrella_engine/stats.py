"""What one request cost: counters and stage times, filled in by the engine, read by the daemon."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


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
    drafted_by: dict[str, int] = field(default_factory=dict)  # nodes by drafter
    accepted_by: dict[str, int] = field(default_factory=dict)
    ms: dict[str, float] = field(default_factory=dict)  # stage → milliseconds

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside the block to stage `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - start) * 1e3
