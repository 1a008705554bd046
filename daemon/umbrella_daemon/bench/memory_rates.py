"""How fast memory is read and copied: the machine's own, a GPU's, and between the two.

The best of several rounds counts: what else a machine does makes them slower, never faster.
"""

from collections.abc import Callable
from typing import Final

import torch

from umbrella_daemon.bench.result import BenchError
from umbrella_engine.cuda.graphs import Graph
from umbrella_engine.hardware import free_bytes

ROUNDS: Final = 9
MIB: Final = 2**20
READ: Final = "memory, read"
COPY: Final = "memory, copy"
PINNED_UP: Final = "host to device, pinned"
PINNED_DOWN: Final = "device to host, pinned"
PAGEABLE_UP: Final = "host to device, pageable"
PAGEABLE_DOWN: Final = "device to host, pageable"
TRANSFERS: Final = (PINNED_UP, PINNED_DOWN, PAGEABLE_UP, PAGEABLE_DOWN)


def streaming(device: torch.device, mebibytes: int) -> dict[str, float]:
    """Give rates of the memory of `device` in GB/s; a copy counts what it reads and writes.

    Raises BenchError where two buffers of so many MiB do not fit.
    """
    source = _buffer(device, mebibytes, 2)
    target = source.clone()
    return {
        READ: _best(lambda: void(source.max()), source.nbytes, device),
        COPY: _best(lambda: void(target.copy_(source)), 2 * source.nbytes, device),
    }


def transfers(device: torch.device, mebibytes: int) -> dict[str, float]:
    """Give rates between the host and a GPU in GB/s, through pinned memory and through plain."""
    there = _buffer(device, mebibytes, 1)
    plain = torch.ones_like(there, device="cpu")
    pinned = plain.pin_memory()
    ways: dict[str, tuple[torch.Tensor, torch.Tensor]] = {
        PINNED_UP: (there, pinned),
        PINNED_DOWN: (pinned, there),
        PAGEABLE_UP: (there, plain),
        PAGEABLE_DOWN: (plain, there),
    }
    return {name: _best_transfer(into, source) for name, (into, source) in ways.items()}


def void(_: object) -> None:
    """Forget a value."""


def _buffer(device: torch.device, mebibytes: int, count: int) -> torch.Tensor:
    """Give the first of `count` buffers of 16-bit numbers, every page of it written."""
    free = free_bytes(device)
    if count * mebibytes * MIB > free:
        raise BenchError(
            f"{count} buffers of {mebibytes} MiB do not fit into the {free // MIB} MiB that are "
            f"free on {device}; name a smaller --megabytes"
        )
    return torch.empty(mebibytes * MIB // 2, dtype=torch.int16, device=device).fill_(1)


def _best(launch: Callable[[], None], size: int, device: torch.device) -> float:
    return round(size / min(Graph(launch, device).times(ROUNDS)) / 1e6, 2)


def _best_transfer(into: torch.Tensor, source: torch.Tensor) -> float:
    """Time transfers by the device's clock; pageable ones cannot be captured, so none is."""
    best = float("inf")
    for _ in range(ROUNDS):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        before.record()
        into.copy_(source, non_blocking=True)
        after.record()
        torch.cuda.synchronize()
        best = min(best, float(before.elapsed_time(after)))
    return round(source.nbytes / best / 1e6, 2)
