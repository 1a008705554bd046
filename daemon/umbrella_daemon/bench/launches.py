"""What it costs to have a device do next to nothing: launches, replays, one small operation."""

import time
from collections.abc import Callable
from statistics import median
from typing import Final

import torch

from umbrella_engine.cuda.graphs import Graph

ROUNDS: Final = 9
CALLS: Final = 200  # in a row; fewer than a device's queue takes
IN_GRAPH: Final = 100
OPERATION: Final = "torch operation on one number"
LAUNCH: Final = "launch of an empty kernel"
ROUND_TRIP: Final = "launch of an empty kernel until the host knows its end"
REPLAY: Final = "replay of a graph with one empty kernel"
INSIDE: Final = "each further empty kernel of a graph, on the device"
ON_DEVICE: Final = (LAUNCH, ROUND_TRIP, REPLAY, INSIDE)


def launch_costs(device: torch.device) -> dict[str, float]:
    """Give microseconds by what is done; a CPU has no launches, only the operation.

    All but the round trip and the last are what the host spends, not when the device is done.
    """
    number = torch.zeros(1, device=device)
    costs = {OPERATION: _each(lambda: number.add_(1), CALLS)}
    if device.type == "cuda":
        one, many = Graph(_empty, device), Graph(_empties, device)
        inside = (median(many.times(ROUNDS)) - median(one.times(ROUNDS))) / (IN_GRAPH - 1)
        costs |= {
            LAUNCH: _each(_empty, CALLS),
            ROUND_TRIP: _each(_there_and_back, 1),
            REPLAY: _each(one.replay, CALLS),
            INSIDE: inside * 1e3,
        }
    return {name: round(us, 2) for name, us in costs.items()}


def _each(call: Callable[[], object], count: int) -> float:
    """Microseconds of a call at the median of rounds of `count`; the first one warms up."""
    found = []
    for _ in range(1 + ROUNDS):
        _wait()
        began = time.perf_counter()
        for _ in range(count):
            call()
        found.append((time.perf_counter() - began) * 1e6 / count)
    _wait()
    return median(found[1:])


def _wait() -> None:
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()


def _empty() -> None:
    torch.cuda._sleep(0)  # type: ignore[no-untyped-call]  # a kernel that waits for no cycles


def _empties() -> None:
    for _ in range(IN_GRAPH):
        _empty()


def _there_and_back() -> None:
    _empty()
    torch.cuda.synchronize()
