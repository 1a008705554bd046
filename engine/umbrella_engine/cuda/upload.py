"""Weights from mapped files to a GPU: threads copy pieces into pinned buffers, the device fetches.

A plain copy of mapped memory is made by one thread that waits for page after page; here reading,
copying and the transfer go on side by side. Nothing is converted on the host.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

MOST_THREADS = 8
PIECE = 16 * 2**20  # bytes; two pinned pieces for each thread
SMALL = 2**20  # bytes; what is smaller is copied as it is


class Upload:
    """Copies host tensors to `device`; a context manager, since it holds threads and buffers."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._own = threading.local()
        threads = min(MOST_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, initializer=self._begin)

    def __enter__(self) -> "Upload":
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let threads, buffers and freed memory go, once the device has all it was sent."""
        self._pool.shutdown(cancel_futures=True)
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()

    def __call__(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """Give `tensor` on the device as `dtype`; usable at once on the current stream."""
        if tensor.nbytes < SMALL:
            return tensor.to(device=self._device, dtype=dtype)
        out = torch.empty(tensor.shape, dtype=tensor.dtype, device=self._device)
        source = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
        target = out.view(-1).view(torch.uint8)
        current = torch.cuda.current_stream(self._device)
        free = current.record_event()  # memory of `out` may have been read until here
        pieces = range(0, source.shape[0], PIECE)
        for sent in self._pool.map(
            lambda low: self._send(source[low : low + PIECE], target[low : low + PIECE], free),
            pieces,
        ):
            current.wait_event(sent)
        return out.to(dtype)

    def _begin(self) -> None:
        own = self._own
        own.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        own.buffers = [torch.empty(PIECE, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        own.sent = [own.stream.record_event() for _ in range(2)]
        own.turn = 0

    def _send(self, source: np.ndarray, target: Tensor, free: torch.Event) -> torch.cuda.Event:
        """Copy a piece into a pinned buffer and enqueue its transfer; gives when that is done."""
        own = self._own
        own.turn = 1 - own.turn
        own.sent[own.turn].synchronize()  # the buffer's last piece has left
        staged = own.buffers[own.turn][: source.shape[0]]
        np.copyto(staged.numpy(), source)
        with torch.cuda.stream(own.stream):
            own.stream.wait_event(free)
            target.copy_(staged, non_blocking=True)
        own.sent[own.turn] = own.stream.record_event()
        sent: torch.cuda.Event = own.sent[own.turn]
        return sent
