"""Tree attention: one interface, implementations proven equal to `reference`."""

from typing import Protocol

from torch import Tensor


class Attention(Protocol):
    """Attention of a few query rows over one lane."""

    def prepare(self, tail: Tensor, length: int) -> Tensor | None:
        """Turn the mask of the tail into whatever `__call__` wants; once per forward.

        tail: [n, n_tail] bool, true where row i may see tail slot j. The slots before the tail are
        visible to every row. length: slots in all, the tail included.
        """
        ...

    def __call__(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """Attend. queries [n_heads, n, head_dim], keys and values [n_kv_heads, length, head_dim].

        Returns [n, n_heads · head_dim].
        """
        ...
