"""Prefill through flash kernels: causal attention without a mask in memory.

A prompt's chunk sees itself causally and all before it, which flash kernels know as a causal mask
aligned to the lower right. Anything else (a tree behind a long chunk) goes to `reference`.
"""

import torch
from torch import Tensor

from umbrella_engine.attention.libraries import FlashOp, TorchFlash
from umbrella_engine.attention.reference import ReferenceAttention


class FlashAttention:
    """Causal chunks through a library's flash attention; see `Attention`."""

    def __init__(
        self,
        group: int,
        dtype: torch.dtype,
        window: int | None = None,
        op: FlashOp | None = None,
    ) -> None:
        """See `ReferenceAttention`; `op` is torch's where none is given."""
        self._reference = ReferenceAttention(group, dtype, window)
        self._window = window
        self._causal = False  # what the latest mask stands for
        self._op = op or TorchFlash()

    def prepare(self, tail: Tensor, length: int) -> Tensor | None:
        """Give what `reference` wants, unless the tail is causal and no window ends in it."""
        n, n_tail = tail.shape
        near = self._window is None or length <= self._window
        causal = n == n_tail and bool(torch.equal(tail, torch.ones_like(tail).tril()))
        self._causal = near and causal
        return None if self._causal else self._reference.prepare(tail, length)

    def __call__(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """Attend; see `Attention`."""
        if self._causal:
            return self._op.causal(queries, keys, values, scale)
        return self._reference(queries, keys, values, mask, scale)
