"""Tree attention from a library's flash kernel: the shared prefix there, the tree here, merged.

Two softmaxes over parts of the slots are one over all of them when each part's result is weighed by
the exponential of its log-sum-exp. Equal to `TreeAttention`, with more launches.
"""

import torch
from torch import Tensor

from umbrella_engine.attention.libraries import FlashOp
from umbrella_engine.cuda.inputs import MAX_ROWS, Inputs
from umbrella_engine.model_config import ModelConfig


class MergedAttention:
    """Attention of up to 64 rows over one lane; the same call as `TreeAttention`."""

    def __init__(self, config: ModelConfig, inputs: Inputs, op: FlashOp) -> None:
        self._config = config
        self._inputs = inputs
        self._op = op
        device = inputs.all.device
        self._slots = torch.arange(MAX_ROWS, device=device)
        self._heads = torch.arange(config.n_kv_heads, device=device)[:, None]

    def __call__(
        self, preset: int, queries: Tensor, keys: Tensor, values: Tensor, mixed: Tensor
    ) -> None:
        """Enqueue it. queries, mixed: [rows, heads · head_dim]; keys, values: a layer's lanes."""
        config, inputs = self._config, self._inputs
        kv, size = config.n_kv_heads, config.head_dim
        rows = queries[:preset].view(preset, kv, -1, size).transpose(0, 1)  # [kv, rows, group, d]
        packed = rows.reshape(kv, -1, size)
        shared, weight = self._op.prefix(
            packed, keys, values, inputs.lane, inputs.prefix, config.scale
        )
        weight = weight.masked_fill(inputs.prefix == 0, float("-inf"))
        scores, below = self._tree(preset, packed, keys, values)
        total = torch.logaddexp(weight, scores.logsumexp(-1))
        share = torch.exp(scores - total[..., None]).to(below.dtype)
        joined = share @ below + (torch.exp(weight - total)[..., None] * shared).to(below.dtype)
        mixed[:preset].view(preset, kv, -1, size).copy_(joined.view(rows.shape).transpose(0, 1))

    def _tree(
        self, preset: int, queries: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give scores [kv, rows, 64] of the slots behind the prefix, and their values."""
        inputs, capacity, size = self._inputs, keys.shape[2], keys.shape[3]
        slots = (inputs.prefix + self._slots).clamp(max=capacity - 1)
        at = (inputs.lane * self._config.n_kv_heads + self._heads) * capacity + slots
        held = self._slots < inputs.tail  # nobody may have written the others
        near = keys.view(-1, size)[at]
        below = values.view(-1, size)[at].masked_fill(~held[None, :, None], 0.0)
        seen = (inputs.words[:preset, None] >> self._slots) & 1 == 1
        seen = (seen & held).repeat_interleave(queries.shape[1] // preset, 0)
        scores = (queries @ near.transpose(-1, -2)).float() * self._config.scale
        return scores.masked_fill(~seen, float("-inf")), below
