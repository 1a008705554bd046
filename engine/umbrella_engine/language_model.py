"""A decoder with its lanes and their bookkeeping: contexts that grow by tokens and by trees.

A `Context` is one prompt being continued in one lane. Its `tokens` are committed: their keys and
values lie in slots 0 … length. `evaluate` commits further ids and computes tree nodes in the
scratch slots behind them; `keep` commits one path of the tree and forgets the rest. A tree may be
evaluated whole (verification) or level by level (drafting).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from umbrella_engine.errors import ContextOverflow
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.prefix_cache import Lane, PrefixCache
from umbrella_engine.tree import ROOT, Tree


class ForwardPass(Protocol):
    """What computes one model over its cache: `model.Decoder`, or another behind its verb."""

    @property
    def cache(self) -> KVCache:
        """Where keys and values go."""
        ...

    def forward(
        self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor, first_row: int
    ) -> Tensor:
        """Run n tokens through the model; see `model.Decoder.forward`."""
        ...


class LanguageModel:
    """One resident model: opens contexts over shared lanes."""

    def __init__(self, decoder: ForwardPass, chunk_tokens: int) -> None:
        self.decoder = decoder
        self.chunk_tokens = chunk_tokens
        self.lanes = PrefixCache(decoder.cache.n_lanes)

    @contextmanager
    def open(self, ids: Sequence[int]) -> Iterator["Context"]:
        """Give a context whose lane agrees with `ids` as far as any lane can."""
        placement = self.lanes.acquire(ids)
        try:
            if placement.copy_from is not None:
                self.decoder.cache.copy_lane(
                    placement.copy_from.index, placement.lane.index, placement.reused
                )
            yield Context(self, placement.lane)
        finally:
            self.lanes.release(placement.lane)


class Context:
    """One prompt and its continuation in one lane."""

    def __init__(self, model: LanguageModel, lane: Lane) -> None:
        self._model = model
        self._lane = lane

    @property
    def length(self) -> int:
        """Number of committed tokens."""
        return len(self._lane.tokens)

    @property
    def lane(self) -> int:
        """Index of the lane in the model's cache."""
        return self._lane.index

    @property
    def tokens(self) -> Sequence[int]:
        """The committed tokens."""
        return self._lane.tokens

    def read(self, ids: Sequence[int], checkpoint: Callable[[], None]) -> None:
        """Commit `ids`; nobody wants their logits."""
        rest = self.prefill(ids, checkpoint)
        if rest:
            checkpoint()
            self._forward(rest, Tree(), 0, n_logits=0)

    def settle(self, ids: Sequence[int]) -> None:
        """Commit `ids`, whose keys and values already lie behind the committed ones."""
        self._lane.tokens.extend(ids)

    def prefill(self, ids: Sequence[int], checkpoint: Callable[[], None]) -> list[int]:
        """Commit `ids` chunk by chunk, but for a last chunk, which is returned for `evaluate`.

        `checkpoint` is called before each forward pass and may raise to stop; what was computed
        until then stays committed.
        """
        size = self._model.chunk_tokens
        rest = list(ids)
        while len(rest) > size:
            checkpoint()
            self._forward(rest[:size], Tree(), 0, n_logits=0)
            rest = rest[size:]
        return rest

    def evaluate(self, ids: Sequence[int], tree: Tree, first_node: int = 0) -> Tensor:
        """Commit `ids`, compute the nodes of `tree` from `first_node` on.

        The nodes before `first_node` must have been evaluated since the last commit. Returns logits
        [1 + nodes, vocab], the first row for the last of `ids` (the root of the tree), or [nodes,
        vocab] where `ids` is empty.
        """
        nodes = len(tree) - first_node
        return self._forward(ids, tree, first_node, n_logits=nodes + (1 if ids else 0))

    def keep(self, tree: Tree, path: Sequence[int]) -> None:
        """Commit the evaluated nodes of `path`, given from the root's child down."""
        start = self.length
        cache = self._model.decoder.cache
        cache.compact(self._lane.index, [start + node for node in path], start)
        self._lane.tokens.extend(tree.tokens[node] for node in path)

    def _forward(self, ids: Sequence[int], tree: Tree, first_node: int, n_logits: int) -> Tensor:
        decoder = self._model.decoder
        committed = self.length
        root = committed + len(ids)  # slots from here on hold the nodes
        start = committed if ids else root + first_node
        if root + len(tree) > decoder.cache.capacity:
            raise ContextOverflow(
                f"{root} tokens and a tree of {len(tree)} nodes do not fit into the "
                f"{decoder.cache.capacity} tokens of a cache lane; raise engine.context_tokens"
            )
        new = range(first_node, len(tree))
        tokens = [*ids, *(tree.tokens[node] for node in new)]
        positions = [
            *range(committed, root),
            *(root + tree.depths[node] - 1 for node in new),
        ]
        logits = decoder.forward(
            torch.tensor(tokens),
            torch.tensor(positions),
            self._lane.index,
            start,
            torch.from_numpy(tail_mask(len(ids), tree, first_node)),
            first_row=len(tokens) - n_logits,
        )
        self._lane.tokens.extend(ids)
        return logits


def tail_mask(n_ids: int, tree: Tree, first_node: int) -> np.ndarray:
    """Which of the newest slots each new row sees: [rows, n_ids + len(tree)] bool.

    Rows and slots are the committed ids, seen causally, then the nodes, which see all ids and
    their own ancestors.
    """
    nodes = len(tree)
    ancestors = np.zeros((nodes, nodes), dtype=bool)
    for node, parent in enumerate(tree.parents):
        if parent != ROOT:
            ancestors[node] = ancestors[parent]
        ancestors[node, node] = True
    causal = np.tri(n_ids, n_ids + nodes, dtype=bool)
    below = np.concatenate(
        (np.ones((nodes - first_node, n_ids), dtype=bool), ancestors[first_node:]), axis=1
    )
    return np.concatenate((causal, below))
