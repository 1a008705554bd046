"""Tree attention in plain torch: the slow twin every faster implementation is compared with."""

import torch
from torch import Tensor
from torch.nn import functional


class ReferenceAttention:
    """Masked scaled-dot-product attention with the query heads of a group packed as rows."""

    def __init__(self, group: int, dtype: torch.dtype) -> None:
        """`group` is n_heads // n_kv_heads: so many query heads share one key head."""
        self._group = group
        self._dtype = dtype

    def prepare(self, tail: Tensor, length: int) -> Tensor | None:
        """Give an additive mask [group · n, length], None where every row sees every slot."""
        n, n_tail = tail.shape
        if n == 1 and bool(tail.all()):
            return None
        mask = torch.zeros(n, length, dtype=self._dtype, device=tail.device)
        mask[:, length - n_tail :].masked_fill_(~tail, float("-inf"))
        return mask.repeat(self._group, 1)

    def __call__(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """Attend; see `Attention`."""
        n_heads, n, head_dim = queries.shape
        packed = queries.reshape(1, n_heads // self._group, self._group * n, head_dim)
        attended = functional.scaled_dot_product_attention(
            packed, keys[None], values[None], attn_mask=mask, scale=scale
        )
        return attended.reshape(n_heads, n, head_dim).transpose(0, 1).reshape(n, -1)
