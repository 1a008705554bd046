"""Launches captured once and replayed as one. Where there is no device, they simply run."""

from collections.abc import Callable

import torch


class Graph:
    """What `launch` enqueues, as one CUDA graph; on a CPU (Triton's interpreter) a plain call."""

    def __init__(self, launch: Callable[[], None], device: torch.device) -> None:
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
