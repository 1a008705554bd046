"""How a module of transformers reads and writes our cache, and what each of its rows sees.

To the module `Lanes` is the cache. Its attention layers are handed the same object, since not every
family passes keyword arguments down to `attend`, our function behind `AttentionInterface`. Shapes:
n rows, h heads, k key heads, g = h / k, d head_dim.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, Cache

from umbrella_engine.errors import UnsupportedModel
from umbrella_engine.hf_config import HFConfig
from umbrella_engine.kv_cache import KVCache

NAME: Final = "umbrella_lanes"  # unknown to transformers' masks, so it makes none


class Lanes(Cache):
    """A `KVCache` as a module of transformers sees it: one lane, aimed at before each pass."""

    def __init__(self, config: HFConfig, cache: KVCache) -> None:
        super().__init__(layers=[])
        self._config, self._cache = config, cache
        self._lane = self._start = self.length = 0
        self._tail = torch.ones(0, 0, dtype=torch.bool)
        self._masks: dict[tuple[int | None, int], Tensor | None] = {}

    def aim(self, lane: int, start: int, tail: Tensor) -> None:
        """Begin a pass whose rows go to slots from `start` on; `tail` as in `Decoder.forward`."""
        self._lane, self._start, self._tail = lane, start, tail
        self.length = start + tail.shape[0]
        self._masks.clear()

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Store new keys and values [1, k, n, d] of a layer; give those of the whole lane."""
        self.check_shapes(key_states, value_states, layer_idx)
        self._cache.write(layer_idx, self._lane, self._start, key_states[0], value_states[0])
        keys, values = self._cache.read(layer_idx, self._lane, self.length)
        return keys[None], values[None]

    def check_shapes(self, key_states: Tensor, value_states: Tensor, layer_idx: int) -> None:
        """Raise UnsupportedModel where they have another shape than the cache was made for."""
        config = self._config
        shapes = [(states.shape[1], states.shape[3]) for states in (key_states, value_states)]
        made_for = [(config.n_kv_heads, size) for size in (config.head_dim, config.value_dim)]
        if shapes != made_for:
            raise UnsupportedModel(
                f"layer {layer_idx} of {config.architecture} caches keys and values of (heads, "
                f"size) = {shapes}, the cache has room for {made_for}: layers of different shapes "
                "are not supported; choose a model of another family"
            )

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Slots before the rows of this pass."""
        return self._start

    def check_window(self, layer: int, window: int | None) -> None:
        """Raise UnsupportedModel where a module and its configuration disagree on the window."""
        configured = self._config.windows[layer]
        if window != configured:
            raise UnsupportedModel(
                f"layer {layer} of {self._config.architecture} looks back over "
                f"{window or 'all'} tokens where its configuration says {configured or 'all'}: "
                "long texts would silently be read wrongly; choose a model of another family"
            )

    def mask(self, window: int | None, group: int, dtype: torch.dtype) -> Tensor | None:
        """Give an additive mask [g · n, length]; None where every row sees every slot.

        `window` limits each row to the nearest slots of its own text, itself included.
        """
        if window is not None and window >= self.length:
            window = None
        if (window, group) not in self._masks:
            self._masks[window, group] = self._make_mask(window, group, dtype)
        return self._masks[window, group]

    def _make_mask(self, window: int | None, group: int, dtype: torch.dtype) -> Tensor | None:
        n, n_tail = self._tail.shape
        if n == n_tail == 1 and window is None:
            return None
        seen = torch.ones(n, self.length, dtype=torch.bool, device=self._tail.device)
        seen[:, self.length - n_tail :] = self._tail
        if window is not None:
            # a row sees its own text in order, so the slots that it sees from here on, this one
            # included, count the distance in positions, whatever branches lie between
            seen &= seen.flip(-1).cumsum(-1).flip(-1) <= window
        mask = torch.zeros(n, self.length, dtype=dtype, device=seen.device)
        return mask.masked_fill_(~seen, float("-inf")).repeat(group, 1)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend with the query heads of a group packed as rows; see `AttentionInterface`.

    query [1, h, n, d], key and value [1, k, length, d]; returns [1, n, h, d]. `s_aux` [h] are the
    attention sinks: a logit for nothing. `attention_mask` is none: the lanes know.
    """
    lanes: Lanes = getattr(module, NAME)
    lanes.check_window(int(module.layer_idx), sliding_window)  # type: ignore[arg-type]
    heads, n, dim = query.shape[1:]
    group = heads // key.shape[1]
    mask = lanes.mask(sliding_window, group, query.dtype)
    packed = query.reshape(1, key.shape[1], group * n, dim)
    if softcap is None and s_aux is None:
        mixed = functional.scaled_dot_product_attention(
            packed, key, value, attn_mask=mask, scale=scaling
        )
    else:
        scores = packed @ key.transpose(-1, -2) * (dim**-0.5 if scaling is None else scaling)
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        if mask is not None:
            scores = scores + mask
        mixed = _softmax(scores, s_aux, n) @ value
    return mixed.reshape(1, heads, n, -1).transpose(1, 2).contiguous(), None


def _softmax(scores: Tensor, sinks: Tensor | None, n: int) -> Tensor:
    """Softmax of scores [1, k, g · n, length] in fp32, with sinks [h] as one more column."""
    if sinks is None:
        return torch.softmax(scores, dim=-1, dtype=torch.float32).to(scores.dtype)
    column = sinks.repeat_interleave(n).view(1, scores.shape[1], -1, 1).to(scores.dtype)
    with_sinks = torch.cat((scores, column), dim=-1)
    return torch.softmax(with_sinks, dim=-1, dtype=torch.float32)[..., :-1].to(scores.dtype)


AttentionInterface.register(NAME, attend)


def bind(module: nn.Module, lanes: Lanes) -> None:
    """Hand `lanes` to every attention layer of a module."""
    for part in module.modules():
        if hasattr(part, "layer_idx"):
            setattr(part, NAME, lanes)
