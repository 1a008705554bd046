"""Prefill through torch's own flash kernels: causal attention without a mask in memory.

A prompt's chunk sees itself causally and all before it, which flash kernels know as a causal mask
aligned to the lower right. Anything else (a tree behind a long chunk) goes to `reference`.
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.bias import CausalBias, causal_lower_right

from umbrella_engine.attention.reference import ReferenceAttention


class FlashAttention:
    """Causal chunks through `scaled_dot_product_attention`'s fused kernels; see `Attention`."""

    def __init__(self, group: int, dtype: torch.dtype, window: int | None = None) -> None:
        """See `ReferenceAttention`."""
        self._reference = ReferenceAttention(group, dtype, window)
        self._window = window

    def prepare(self, tail: Tensor, length: int) -> Tensor | None:
        """Give the causal mask by its name where the tail is one, else what `reference` wants."""
        n, n_tail = tail.shape
        near = self._window is None or length <= self._window
        if near and n == n_tail and bool(torch.equal(tail, torch.ones_like(tail).tril())):
            causal: Tensor = causal_lower_right(n, length)
            return causal
        return self._reference.prepare(tail, length)

    def __call__(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """Attend; see `Attention`."""
        if not isinstance(mask, CausalBias):
            return self._reference(queries, keys, values, mask, scale)
        n = queries.shape[1]
        attended = functional.scaled_dot_product_attention(
            queries[None], keys[None], values[None], attn_mask=mask, scale=scale, enable_gqa=True
        )
        return attended[0].transpose(0, 1).reshape(n, -1)
