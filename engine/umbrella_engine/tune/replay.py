"""What a drafter would have brought on text that the target has written: no target pass is needed.

In fp32 this is exactly what it brings, since speculation does not change the text.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from umbrella_engine.draft import Drafter
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.language_model import ForwardPass, LanguageModel
from umbrella_engine.shape import Shape
from umbrella_engine.shape.choice import Plan, Preset
from umbrella_engine.shape.costs import Costs
from umbrella_engine.tree import Tree


class CountedPass:
    """A forward pass that remembers how many rows it was asked for."""

    def __init__(self, inner: ForwardPass) -> None:
        self._inner = inner
        self.cache: KVCache = inner.cache
        self.rows: list[int] = []

    def __getattr__(self, name: str) -> Any:
        """Give whatever else the pass offers to who knows it."""
        return getattr(self._inner, name)

    def forward(
        self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor, first_row: int
    ) -> Tensor:
        """Run it; see `language_model.ForwardPass`."""
        self.rows.append(len(ids))
        return self._inner.forward(ids, positions, lane, start, tail, first_row)


@dataclass(slots=True)
class Trial:
    """What one drafter did on all texts so far."""

    preset: Preset
    drafter: Drafter
    tokens: int = 0
    steps: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)  # nodes, draft rows
    seconds: float = 0.0  # spent in proposing

    def replay(
        self, prompt: Sequence[int], text: Sequence[int], draft: LanguageModel | None
    ) -> None:
        """Draft `text`, which the target wrote after `prompt`, and count."""
        done = 0
        with _counted(draft, prompt) as rows, self.drafter.begin(prompt) as state:
            while done < len(text):
                rows.clear()
                began = time.perf_counter()
                tree = state.propose(len(text) - done - 1, b"", lambda: None)
                self.seconds += time.perf_counter() - began
                agreed = len(tree.follow(text[done:-1]))
                settled = list(text[done : done + agreed + 1])
                self.steps.append((len(tree), tuple(rows)))
                self.tokens += len(settled)
                state.accept(settled)
                done += len(settled)

    def plan(self, costs: Costs, shape: Shape, depth: int, nodes: int) -> Plan:
        """Give what it came to with this shape, or within these limits where it has none."""
        total = sum(costs.step(size, rows) for size, rows in self.steps)
        count = len(self.steps)
        if len(shape):
            depth, nodes = shape.depth, len(shape)
        return Plan(self.preset, self.tokens / count, total / count, shape, depth, nodes)


@contextmanager
def _counted(draft: LanguageModel | None, prompt: Sequence[int]) -> Iterator[list[int]]:
    """Give the list to which draft passes add their rows while the block runs.

    The draft model has read the prompt by then, as it has when a user types on.
    """
    if draft is None:
        yield []
        return
    with draft.open(prompt) as context:
        unread = context.prefill(prompt[context.length :], lambda: None)
        context.evaluate(unread, Tree())
    inner = draft.decoder
    counted = CountedPass(inner)
    draft.decoder = counted
    try:
        yield counted.rows
    finally:
        draft.decoder = inner
