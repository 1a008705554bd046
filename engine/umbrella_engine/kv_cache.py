"""Keys and values of one model: a few contiguous lanes in one tensor. Memory only, no policy.

A lane holds one live context; slot `i` of a lane belongs to the token at position `i`, or to a tree
node while a step is under way. Rolling back costs nothing: slots beyond a context's length are
simply overwritten. The lane's tokens are kept by `prefix_cache`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from umbrella_engine.model_config import ModelConfig


class KVCache:
    """Key and value slots of all layers and lanes."""

    def __init__(
        self,
        config: ModelConfig,
        n_lanes: int,
        capacity: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shape = (config.n_layers, n_lanes, config.n_kv_heads, capacity, config.head_dim)
        self.capacity = capacity
        self.n_lanes = n_lanes
        # left uninitialised: a lane takes memory only once it is used
        self._keys = torch.empty(shape, dtype=dtype, device=device)
        self._values = torch.empty(shape, dtype=dtype, device=device)

    def write(self, layer: int, lane: int, start: int, keys: Tensor, values: Tensor) -> None:
        """Store keys and values [n_kv_heads, n, head_dim] at slots `start … start + n`."""
        end = start + keys.shape[1]
        self._keys[layer, lane, :, start:end] = keys
        self._values[layer, lane, :, start:end] = values

    def read(self, layer: int, lane: int, length: int) -> tuple[Tensor, Tensor]:
        """View the first `length` slots, each [n_kv_heads, length, head_dim]."""
        return self._keys[layer, lane, :, :length], self._values[layer, lane, :, :length]

    @torch.inference_mode()
    def compact(self, lane: int, slots: Sequence[int], start: int) -> None:
        """Move `slots` to `start, start + 1 …` in every layer; nothing moves that is in place."""
        if list(slots) == list(range(start, start + len(slots))):
            return
        index = torch.tensor(slots, device=self._keys.device)
        end = start + len(slots)
        for store in (self._keys, self._values):
            store[:, lane, :, start:end] = store[:, lane].index_select(2, index)

    @torch.inference_mode()
    def copy_lane(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` slots of lane `source` to lane `target`."""
        for store in (self._keys, self._values):
            store[:, target, :, :length] = store[:, source, :, :length]
