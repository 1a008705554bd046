"""Launches captured once and replayed as one. Where there is no device, they simply run."""

import time
from collections.abc import Callable

import torch


class Graph:
    """What `launch` enqueues, as one CUDA graph; on a CPU (Triton's interpreter) a plain call."""

    def __init__(self, launch: Callable[[], None], device: torch.device) -> None:
        self._device = device
        self._launch = launch  # lives as long as the graph, which reads the tensors it holds
        self._replay = launch
        if device.type == "cuda":
            launch()  # compiles the kernels and makes their buffers, which capturing must not
            torch.cuda.synchronize(device)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                launch()
            self._replay = graph.replay

    def replay(self) -> None:
        """Enqueue it; returns at once."""
        self._replay()

    def times(self, repeats: int) -> list[float]:
        """Milliseconds of so many replays, by the device's own clock where it has one."""
        for _ in range(2):
            self.replay()
        if self._device.type != "cuda":
            return [self._timed() for _ in range(repeats)]
        marks = [
            [torch.cuda.Event(enable_timing=True) for _ in range(2)]  # type: ignore[no-untyped-call]
            for _ in range(repeats)
        ]
        for before, after in marks:
            before.record()
            self.replay()
            after.record()
        torch.cuda.synchronize(self._device)
        return [float(before.elapsed_time(after)) for before, after in marks]

    def _timed(self) -> float:
        began = time.perf_counter()
        self.replay()
        return (time.perf_counter() - began) * 1e3
