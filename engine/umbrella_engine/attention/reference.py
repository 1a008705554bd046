"""Tree attention in plain torch: the slow twin every faster implementation is compared with."""

import torch
from torch import Tensor
from torch.nn import functional


class ReferenceAttention:
    """Masked scaled-dot-product attention with the query heads of a group packed as rows."""

    def __init__(self, group: int, dtype: torch.dtype, window: int | None = None) -> None:
        """`group` is n_heads // n_kv_heads: so many query heads share one key head.

        `window`: how many tokens of its own text a row sees, itself included; None: all.
        """
        self._group = group
        self._window = window
        self._dtype = dtype

    def prepare(self, tail: Tensor, length: int) -> Tensor | None:
        """Give an additive mask [group · n, last slots], None where every row sees every slot.

        Slots before those of the mask are too far back for every row.
        """
        n, n_tail = tail.shape
        windowed = self._window is not None and self._window < length
        if n == 1 and not windowed and bool(tail.all()):
            return None
        mask = torch.zeros(n, length, dtype=self._dtype, device=tail.device)
        mask[:, length - n_tail :].masked_fill_(~tail, float("-inf"))
        if self._window is not None and windowed:
            mask = mask[:, -(self._window + n_tail - 1) :]
            # a row sees its own text in order, so the slots that it sees from here on, this one
            # included, count the distance in positions, whatever branches lie between
            ahead = (mask == 0).flip(-1).cumsum(-1).flip(-1)
            mask.masked_fill_(ahead > self._window, float("-inf"))
        return mask.repeat(self._group, 1)

    def __call__(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """Attend; see `Attention`."""
        n_heads, n, head_dim = queries.shape
        packed = queries.reshape(1, n_heads // self._group, self._group * n, head_dim)
        if mask is not None:
            keys, values = keys[:, -mask.shape[1] :], values[:, -mask.shape[1] :]
        attended = functional.scaled_dot_product_attention(
            packed, keys[None], values[None], attn_mask=mask, scale=scale
        )
        return attended.reshape(n_heads, n, head_dim).transpose(0, 1).reshape(n, -1)
