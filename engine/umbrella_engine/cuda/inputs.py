"""What a forward pass reads: tokens, places and visibility, all on the device."""

import numpy as np
import torch
from torch import Tensor

MAX_ROWS = 64  # as many as bits in an ancestor word


class Inputs:
    """What a forward pass reads, in one device tensor of 64-bit integers."""

    def __init__(self, device: torch.device) -> None:
        self.all = torch.zeros(4 * MAX_ROWS + 5, dtype=torch.int64, device=device)
        rows = self.all[: 4 * MAX_ROWS].view(4, MAX_ROWS)
        self.ids, self.positions, self.words, self.depths = rows
        scalars = self.all[4 * MAX_ROWS :].view(5, 1)
        self.n_rows, self.lane, self.start, self.prefix, self.tail = scalars

    def fill(self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor) -> None:
        """Take the arguments of `Decoder.forward`, which lie on the host."""
        n, n_tail = tail.shape
        prefix = start + n - n_tail
        host = np.zeros(self.all.shape[0], dtype=np.int64)
        rows = host[: 4 * MAX_ROWS].reshape(4, MAX_ROWS)
        rows[0, :n], rows[1, :n] = ids.numpy(), positions.numpy()
        rows[2, :n] = (tail.numpy() @ BITS[:n_tail]).view(np.int64)
        rows[3, :n] = rows[1, :n] - prefix
        host[4 * MAX_ROWS :] = n, lane, start, prefix, n_tail
        self.all.copy_(torch.from_numpy(host))


BITS = np.left_shift(np.uint64(1), np.arange(MAX_ROWS, dtype=np.uint64))
