"""Keys and values of one model: a few contiguous lanes in one tensor. Memory only, no policy.

A lane holds one live context; slot `i` of a lane belongs to the token at position `i`, or to a tree
node while a step is under way. Rolling back costs nothing: slots beyond a context's length are
simply overwritten. The lane's tokens are kept by `prefix_cache`.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class CacheShape(Protocol):
    """What a model keeps of one token; the same in all of its layers."""

    @property
    def n_layers(self) -> int:
        """Layers with keys and values."""
        ...

    @property
    def n_kv_heads(self) -> int:
        """Heads of keys and values in a layer."""
        ...

    @property
    def head_dim(self) -> int:
        """Numbers in a key."""
        ...

    @property
    def value_dim(self) -> int:
        """Numbers in a value."""
        ...


class KVCache:
    """Key and value slots of all layers and lanes."""

    def __init__(
        self,
        shape: CacheShape,
        n_lanes: int,
        capacity: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        slots = (shape.n_layers, n_lanes, shape.n_kv_heads, capacity)
        self.capacity = capacity
        self.n_lanes = n_lanes
        # left uninitialised: a lane takes memory only once it is used
        self.keys = torch.empty((*slots, shape.head_dim), dtype=dtype, device=device)
        self.values = torch.empty((*slots, shape.value_dim), dtype=dtype, device=device)

    def write(self, layer: int, lane: int, start: int, keys: Tensor, values: Tensor) -> None:
        """Store n keys and values at slots `start … start + n`.

        keys: [n_kv_heads, n, head_dim], values: [n_kv_heads, n, value_dim].
        """
        end = start + keys.shape[1]
        self.keys[layer, lane, :, start:end] = keys
        self.values[layer, lane, :, start:end] = values

    def read(self, layer: int, lane: int, length: int) -> tuple[Tensor, Tensor]:
        """View the first `length` slots: keys [n_kv_heads, length, head_dim], values likewise."""
        return self.keys[layer, lane, :, :length], self.values[layer, lane, :, :length]

    @torch.inference_mode()
    def compact(self, lane: int, slots: Sequence[int], start: int) -> None:
        """Move `slots` to `start, start + 1 …` in every layer; nothing moves that is in place."""
        if list(slots) == list(range(start, start + len(slots))):
            return
        index = torch.tensor(slots, device=self.keys.device)
        end = start + len(slots)
        for store in (self.keys, self.values):
            store[:, lane, :, start:end] = store[:, lane].index_select(2, index)

    @torch.inference_mode()
    def copy_lane(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` slots of lane `source` to lane `target`."""
        for store in (self.keys, self.values):
            store[:, target, :, :length] = store[:, source, :, :length]
