"""The decoder on a GPU: seven kernels a layer at most, no host in between, a graph for each preset.

Computes what `model.Decoder` computes, for up to 64 rows, from the same packed weights and into the
same cache; more rows (prefill) go to that decoder. All that changes between steps lies on the
device (`Inputs`), so that a captured graph serves every lane, length and tree.
"""

from dataclasses import replace
from typing import Any, Protocol

import torch
import triton
from torch import Tensor

from umbrella_engine.cuda.graphs import Graph
from umbrella_engine.cuda.inputs import MAX_ROWS, Inputs
from umbrella_engine.cuda.kernels import ends, products
from umbrella_engine.cuda.support import shared_memory
from umbrella_engine.cuda.tables import tables
from umbrella_engine.cuda.tiles import (
    PRESETS,
    Tile,
    Tiles,
    choose_tiles,
    passes_in_flight,
    preset_for,
)
from umbrella_engine.cuda.tree_attention import TreeAttention
from umbrella_engine.model import Decoder
from umbrella_engine.weights import LayerWeights

MAX_SPLITS = 8
SINGLE_K = 32  # of a pass in fp32, which has no matrix units: longer ones compile for minutes
LEFT_ROWS = 16  # of the left operand of a matrix instruction


class StepAttention(Protocol):
    """Attention of up to `preset` rows over one lane: `TreeAttention`, or another as its equal."""

    def __call__(
        self, preset: int, queries: Tensor, keys: Tensor, values: Tensor, mixed: Tensor
    ) -> None:
        """Enqueue it. queries, mixed: [rows, heads · head_dim]; keys, values: a layer's lanes."""
        ...


class FusedDecoder:
    """A `ForwardPass` over the weights, tables and cache of a plain decoder."""

    def __init__(self, plain: Decoder, early_start: bool) -> None:
        """`early_start`: whether the device knows programmatic dependent launch."""
        config = plain.config
        self.plain, self.config, self.cache = plain, config, plain.cache
        self.device, self.dtype = plain.device, plain.dtype
        self.inputs = Inputs(self.device)
        self.tiles: dict[int, Tiles] = {p: choose_tiles(config, p) for p in PRESETS}
        self.early_start = early_start
        self._shared_memory = shared_memory(self.device)
        self._graphs: dict[int, Graph] = {}
        rows, hidden, single = MAX_ROWS, config.hidden, torch.float32
        self._x = self._empty(rows, hidden)
        self._gained = self._empty(rows, hidden)  # the same times the next norm's gain
        self._queries = self._empty(rows, config.n_heads * config.head_dim)
        self._mixed = self._empty(rows, config.n_heads * config.head_dim)
        self._inner = self._empty(rows, config.intermediate)
        self._sums = self._empty(rows, hidden, dtype=single)  # of squares, before attention
        self._sums_post = self._empty(rows, hidden, dtype=single)  # before the gated part
        self._parts = self._empty(MAX_SPLITS, rows, hidden, dtype=single)
        self._arrived = torch.zeros(hidden, dtype=torch.int32, device=self.device)
        self.attention: StepAttention = TreeAttention(
            config,
            self.inputs,
            exact=self.dtype == torch.float32,
            options=self._launch_options(),
            window=config.window if config.window and config.window < self.cache.capacity else 0,
        )
        self._tables = tables(plain)
        programs = config.vocab // 16 + 1
        self.best = self._empty(rows, programs, dtype=single)
        self.best_at = self._empty(rows, programs, dtype=torch.int32)
        self._total = self._empty(rows, programs, dtype=single)
        self.logits = self._empty(rows, config.vocab, dtype=single)
        self.tokens = torch.zeros(rows, dtype=torch.int64, device=self.device)
        self.normalizer = self._empty(rows, dtype=single)
        self.log_probs = self._empty(rows, dtype=single)

    @torch.inference_mode()
    def forward(
        self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor, first_row: int
    ) -> Tensor:
        """Run n tokens through the model; see `Decoder.forward`.

        The logits are fp32 and valid until the next call.
        """
        n, n_tail = tail.shape
        if max(n, n_tail) > MAX_ROWS:
            return self.plain.forward(ids, positions, lane, start, tail, first_row)
        self.inputs.fill(ids, positions, lane, start, tail)
        self.graph(preset_for(n)).replay()
        return self.logits[first_row:n]

    def graph(self, preset: int) -> Graph:
        """Give the captured launches for up to `preset` rows, logits included."""
        if preset not in self._graphs:
            self._graphs[preset] = Graph(lambda: self.launch(preset, logits=True), self.device)
        return self._graphs[preset]

    def launch(self, preset: int, *, logits: bool) -> None:
        """Enqueue one forward pass of up to `preset` rows; reads `inputs` on the device.

        Leaves each row's `tokens`, `normalizer` and `log_probs`, and where asked its `logits`.
        """
        tiles = self.tiles[preset]
        self._embed(preset, tiles)
        for index, layer in enumerate(self.plain.weights.layers):
            self._project(preset, tiles, index, layer)
            self._attend(preset, index)
            self._output(preset, tiles, layer)
            self._gate(preset, tiles, index, layer)
            self._down(preset, tiles, index, layer)
        self._choose(preset, tiles, logits=logits)

    def programs(self, preset: int) -> int:
        """How many candidates a row of `best` holds."""
        return -(-self.config.vocab // self.tiles[preset].head.n)

    def _empty(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.empty(*shape, dtype=dtype or self.dtype, device=self.device)

    def _launch_options(self) -> dict[str, Any]:
        return {"PDL": True, "launch_pdl": True} if self.early_start else {"PDL": False}

    def _tile_options(self, preset: int, tile: Tile, inner: int) -> dict[str, Any]:
        size = self.dtype.itemsize
        if self.dtype == torch.float32 and preset > 1:
            tile = replace(tile, k=min(tile.k, SINGLE_K))
        lines = triton.next_power_of_2(inner // tile.splits * size // 128 + 1)
        rows = preset if preset == 1 or tile.swap else max(LEFT_ROWS, preset)
        return {
            "K": inner,
            "BLOCK_M": rows,
            "BLOCK_N": tile.n,
            "BLOCK_K": tile.k,
            "STAGES": passes_in_flight(tile, rows, size, self._shared_memory),
            "SWAP": tile.swap,
            "BYTES": size,
            "LINES": min(lines, tile.lines),
            "EARLY": tile.early,
            "EXACT": self.dtype == torch.float32,
            "num_warps": tile.warps,
            **self._launch_options(),
        }

    def _adds(self, bias: Tensor | None) -> bool:
        """Whether a bias is added by itself; behind a layer norm it is part of a table."""
        return bias is not None and not self.config.layer_norm

    def _sum_options(self, tile: Tile) -> dict[str, int]:
        parts = self.config.hidden // tile.n
        return {"PARTS": parts, "PARTS_POW2": triton.next_power_of_2(parts)}

    def _embed(self, preset: int, tiles: Tiles) -> None:
        hidden = self.config.hidden
        ends.embed_kernel[(preset,)](
            self.inputs.ids, self.plain.weights.embedding, self._x,
            self.plain.weights.layers[0].input_norm, self._gained, self._sums,
            HIDDEN=hidden, SCALE=self.config.embedding_scale, LAYER=self.config.layer_norm,
            BLOCK=triton.next_power_of_2(hidden),
            **self._sum_options(tiles.down), **self._launch_options(),
        )  # fmt: skip

    def _project(self, preset: int, tiles: Tiles, index: int, layer: LayerWeights) -> None:
        config, inputs, tile, cache = self.config, self.inputs, tiles.qkv, self.cache
        columns = (config.n_heads + 2 * config.n_kv_heads) * config.head_dim
        nothing = self._x
        products.qkv_kernel[(columns // tile.n,)](
            self._gained, layer.qkv, self._tables.qkv[index], self._sums,
            _or(layer.q_norm, nothing), _or(layer.k_norm, nothing), self.plain.cos, self.plain.sin,
            inputs.positions, inputs.start, inputs.lane,
            self._queries, cache.keys[index], cache.values[index],
            config.norm_eps, inputs.n_rows, cache.keys.stride(1), cache.capacity,
            N_HEADS=config.n_heads, N_KV=config.n_kv_heads, HEAD_DIM=config.head_dim,
            HAS_BIAS=self._adds(layer.qkv_bias), LAYER=config.layer_norm,
            QK_NORM=layer.q_norm is not None,
            **self._sum_options(tiles.down), **self._tile_options(preset, tile, config.hidden),
        )  # fmt: skip

    def _attend(self, preset: int, index: int) -> None:
        cache = self.cache
        self.attention(preset, self._queries, cache.keys[index], cache.values[index], self._mixed)

    def _output(self, preset: int, tiles: Tiles, layer: LayerWeights) -> None:
        weights = layer.output, layer.output_bias, layer.post_norm
        self._add(preset, tiles.output, self._mixed, *weights, self._sums_post)

    def _down(self, preset: int, tiles: Tiles, index: int, layer: LayerWeights) -> None:
        model = self.plain.weights
        last = index + 1 == len(model.layers)
        gain = model.norm if last else model.layers[index + 1].input_norm
        weights = layer.down, layer.down_bias, gain
        self._add(preset, tiles.down, self._inner, *weights, self._sums)

    def _add(
        self,
        preset: int,
        tile: Tile,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        gain: Tensor,
        sums: Tensor,
    ) -> None:
        hidden = self.config.hidden
        products.residual_kernel[(hidden // tile.n, tile.splits)](
            x, weight, _or(bias, x), self._x, gain, self._gained, sums,
            self._parts, self._arrived, self.inputs.n_rows,
            N=hidden, HAS_BIAS=bias is not None, SCALE=self.config.residual_scale,
            LAYER=self.config.layer_norm, SPLITS=tile.splits, MAX_ROWS=MAX_ROWS,
            **self._tile_options(preset, tile, weight.shape[1]),
        )  # fmt: skip

    def _gate(self, preset: int, tiles: Tiles, index: int, layer: LayerWeights) -> None:
        config, tile = self.config, tiles.gated
        products.gated_kernel[(layer.gate_up.shape[0] // tile.n,)](
            self._gained, layer.gate_up, self._tables.gate_up[index], self._sums_post, self._inner,
            config.norm_eps, self.inputs.n_rows,
            INNER=config.intermediate, GATED=config.gated,
            GELU=config.activation == "gelu_pytorch_tanh",
            HAS_BIAS=self._adds(layer.gate_up_bias), LAYER=config.layer_norm,
            **self._sum_options(tiles.output), **self._tile_options(preset, tile, config.hidden),
        )  # fmt: skip

    def _choose(self, preset: int, tiles: Tiles, *, logits: bool) -> None:
        config, weights, programs = self.config, self.plain.weights, self.programs(preset)
        ends.head_kernel[(programs,)](
            self._gained, weights.head, self._tables.head, self._sums, self.logits,
            self.best, self.best_at, self._total, config.norm_eps, self.inputs.n_rows, config.vocab,
            LOGITS=logits, SCALE=config.logits_scale, LAYER=config.layer_norm,
            **self._sum_options(tiles.down),
            **self._tile_options(preset, tiles.head, config.hidden),
        )  # fmt: skip
        ends.choose_kernel[(preset,)](
            self.best, self.best_at, self._total, self.tokens, self.normalizer, self.log_probs,
            programs, BLOCK=triton.next_power_of_2(programs), **self._launch_options(),
        )  # fmt: skip


def _or(tensor: Tensor | None, other: Tensor) -> Tensor:
    return other if tensor is None else tensor
