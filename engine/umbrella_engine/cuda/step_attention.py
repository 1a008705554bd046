"""Which attention the steps of a fused decoder use: our kernel, or a library's and a merge."""

from collections.abc import Callable

import torch
from torch import Tensor

from umbrella_engine.attention.choice import Trial, fastest, try_out, unusable
from umbrella_engine.attention.libraries import HALF, FlashOp, TorchFlash, installed
from umbrella_engine.config import AttentionSetting
from umbrella_engine.cuda.decoder import FusedDecoder, StepAttention
from umbrella_engine.cuda.graphs import Graph
from umbrella_engine.cuda.merged_attention import MergedAttention

OWN = "our kernel"
ROWS = 8  # of a small tree
LENGTH = 2048


@torch.inference_mode()
def choose_for_steps(fused: FusedDecoder, setting: AttentionSetting) -> tuple[str, list[Trial]]:
    """Set what `fused` attends with; gives its name, and what was tried or why it was not.

    Raises EngineError where the setting names what cannot be used.
    """
    if setting == "own":
        return OWN, []
    if fused.config.window is not None:
        return OWN, [Trial("libraries", None, "know no windows of trees")]
    libraries, reasons = installed(fused.dtype)
    absent = [Trial(name, None, reason) for name, reason in reasons.items()]
    if setting == "torch":
        libraries, absent = _torch(fused.dtype)
    if not libraries and setting == "auto":
        return OWN, absent
    candidates: dict[str, StepAttention] = {
        op.name: MergedAttention(fused.config, fused.inputs, op) for op in libraries
    }
    if setting == "auto":
        candidates = {OWN: fused.attention, **candidates}
    tried = try_steps(fused, candidates, min(LENGTH, fused.cache.capacity - ROWS), ROWS)
    best = fastest(tried)
    if best is None:
        raise unusable(setting, [*tried, *absent])
    fused.attention = candidates[best.name]
    return best.name, [*tried, *absent]


def _torch(dtype: torch.dtype) -> tuple[list[FlashOp], list[Trial]]:
    if dtype in HALF:
        return [TorchFlash()], []
    return [], [Trial(TorchFlash.name, None, "its flash kernels compute 16-bit numbers only")]


@torch.inference_mode()
def try_steps(
    fused: FusedDecoder, candidates: dict[str, StepAttention], length: int, rows: int
) -> list[Trial]:
    """Run each as a graph, as steps do: `rows` behind `length` tokens, one of the presets.

    Overwrites the first lane of the first layer with noise.
    """
    cache, config = fused.cache, fused.config
    keys, values = cache.keys[0], cache.values[0]
    keys[0].normal_()
    values[0].normal_()
    tail = torch.ones(rows, rows, dtype=torch.bool).tril()
    positions = length + torch.arange(rows)
    fused.inputs.fill(torch.zeros_like(positions), positions, 0, length, tail)
    width = config.n_heads * config.head_dim
    queries = torch.randn(rows, width, device=fused.device).to(fused.dtype)

    def attended(attention: StepAttention) -> Tensor:
        mixed = torch.zeros_like(queries)
        attention(rows, queries, keys, values, mixed)
        return mixed

    def captured(attention: StepAttention) -> Callable[[], Tensor]:
        mixed = torch.zeros_like(queries)
        graph: list[Graph] = []  # made in the trial, where it may fail

        def run() -> Tensor:
            if not graph:
                launch = lambda: attention(rows, queries, keys, values, mixed)  # noqa: E731
                graph.append(Graph(launch, fused.device))
            graph[0].replay()
            return mixed

        return run

    expected = attended(fused.attention)
    return [try_out(name, captured(one), expected) for name, one in candidates.items()]
