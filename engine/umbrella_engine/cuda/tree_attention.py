"""Tree attention on a device: launches, and the memory that its stretches meet in."""

from dataclasses import replace
from typing import Any

import torch
import triton
from torch import Tensor

from umbrella_engine.cuda.inputs import Inputs
from umbrella_engine.cuda.kernels import attention
from umbrella_engine.cuda.support import shared_memory
from umbrella_engine.cuda.tiles import (
    PRESETS,
    Stretches,
    blocks_in_flight,
    choose_stretches,
)
from umbrella_engine.model_config import ModelConfig

SINGLE_SLOTS = 16  # of a pass in fp32, which has no matrix units: more compile for a minute
LOG2_E = 1.4426950408889634


class TreeAttention:
    """Attention of up to 64 rows over one lane; equal to `attention.reference`."""

    def __init__(
        self,
        config: ModelConfig,
        inputs: Inputs,
        *,
        exact: bool,
        options: dict[str, Any],
        softcap: float = 0.0,
        window: int = 0,
    ) -> None:
        """`exact`: products in full fp32; `options`: how kernels are launched.

        `softcap` bounds the scores, `window` is how many positions a row sees; 0: none.
        """
        self._config = config
        self._inputs = inputs
        self._softcap = softcap
        self._window = window
        self._options = {**options, "EXACT": exact}
        self._launch = options
        self._shared_memory = shared_memory(inputs.all.device)
        self.stretches: dict[int, Stretches] = {p: choose_stretches(config, p) for p in PRESETS}
        if exact:
            for preset, cut in self.stretches.items():
                self.stretches[preset] = replace(cut, slots=min(cut.slots, SINGLE_SLOTS))
        self._partial: dict[tuple[Stretches, int], tuple[Tensor, Tensor, Tensor]] = {}

    def __call__(
        self, preset: int, queries: Tensor, keys: Tensor, values: Tensor, mixed: Tensor
    ) -> None:
        """Enqueue it. queries, mixed: [rows, heads · head_dim]; keys, values: a layer's lanes."""
        config, inputs, cut = self._config, self._inputs, self.stretches[preset]
        blocks = -(-config.n_heads // config.n_kv_heads * preset // cut.rows)
        partial, top, weight = self._partials(cut, blocks, queries)
        scale = config.scale * LOG2_E
        # tanh through powers of two: see `kernels.attention.split_kernel`
        scale = 2.0 * scale / self._softcap if self._softcap else scale
        stages = blocks_in_flight(
            cut, config.head_dim * queries.dtype.itemsize, self._shared_memory
        )
        sizes = {
            "N_HEADS": config.n_heads, "N_KV": config.n_kv_heads, "HEAD_DIM": config.head_dim,
            "SPLITS": cut.splits, "BLOCK_R": cut.rows,
        }  # fmt: skip
        attention.split_kernel[(config.n_kv_heads, blocks, cut.splits)](
            queries, keys, values, partial, top, weight,
            inputs.lane, inputs.prefix, inputs.tail, inputs.words, inputs.depths,
            scale, self._softcap * LOG2_E, self._window, inputs.n_rows,
            keys.stride(0), keys.shape[2], SOFTCAP=self._softcap > 0, WINDOW=self._window > 0,
            BLOCK_S=cut.slots, SPARED=cut.spared, PREFETCH=True,
            STAGES=stages,
            num_warps=cut.warps, **sizes, **self._options,
        )  # fmt: skip
        pow2 = triton.next_power_of_2(cut.splits)
        if cut.merged:
            programs = config.n_kv_heads, blocks * cut.rows // cut.merged
            attention.merge_rows[programs](
                partial, top, weight, mixed, inputs.n_rows,
                SPLITS_POW2=pow2, ROWS=cut.merged, num_warps=4, **sizes, **self._launch,
            )  # fmt: skip
        else:
            attention.merge_kernel[(preset, config.n_heads)](
                partial, top, weight, mixed, blocks,
                SPLITS_POW2=pow2, num_warps=1, **sizes, **self._launch,
            )  # fmt: skip

    def _partials(
        self, cut: Stretches, blocks: int, queries: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        if (cut, blocks) not in self._partial:
            slabs = self._config.n_kv_heads * blocks * cut.splits * cut.rows

            mixtures = queries.new_empty(slabs, self._config.head_dim)
            top, weight = torch.empty(2, slabs, dtype=torch.float32, device=queries.device)
            found = mixtures, top, weight
            self._partial[cut, blocks] = found
        return self._partial[cut, blocks]
