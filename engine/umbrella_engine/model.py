"""One lean decoder for Granite, Llama, Mistral, Qwen2, Qwen3 and StarCoder2.

It computes one forward pass over rows of tokens in one lane, writes their keys and values in place
and returns logits. It knows nothing of trees, prompts or policies: positions and the visibility of
the newest slots are handed in. Shapes: n rows, h heads, k key heads, d head_dim.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from umbrella_engine.attention import Attention
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.model_config import ModelConfig
from umbrella_engine.rope import rope_tables, rotate
from umbrella_engine.weights import DecoderWeights, LayerWeights

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
}


class Decoder:
    """A decoder with its weights, its attention and the cache it writes to."""

    def __init__(
        self,
        config: ModelConfig,
        weights: DecoderWeights,
        cache: KVCache,
        attention: Attention,
    ) -> None:
        self.config = config
        self.cache = cache
        self.device = weights.embedding.device
        self.dtype = weights.embedding.dtype
        self.weights = weights
        self._attention = attention
        self._activate = ACTIVATIONS[config.activation]
        self.cos, self.sin = rope_tables(config, cache.capacity, self.dtype, self.device)

    @torch.inference_mode()
    def forward(
        self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor, first_row: int
    ) -> Tensor:
        """Run n tokens through the model.

        ids, positions: [n] int64, on any device, as tail. Keys and values go to slots
        `start … start + n` of `lane`.
        tail: [n, n_tail] bool, which of the last n_tail slots each row sees; all slots before them
        are visible. Returns logits [n - first_row, vocab] of the rows from `first_row` on; pass
        `first_row = n` where none is needed.
        """
        weights, config = self.weights, self.config
        ids, positions, tail = (each.to(self.device) for each in (ids, positions, tail))
        length = start + ids.shape[0]
        mask = self._attention.prepare(tail, length)
        cos, sin = self.cos[positions], self.sin[positions]  # [n, d]
        x = functional.embedding(ids, weights.embedding) * config.embedding_scale  # [n, hidden]
        for index, layer in enumerate(weights.layers):
            normed = self._norm(x, layer.input_norm, layer.input_norm_bias)
            q, k, v = self._project(normed, layer)
            self.cache.write(index, lane, start, rotate(k, cos, sin), v)
            keys, values = self.cache.read(index, lane, length)
            mixed = self._attention(rotate(q, cos, sin), keys, values, mask, config.scale)
            more = functional.linear(mixed, layer.output, layer.output_bias)
            x = torch.add(x, more, alpha=config.residual_scale)
            normed = self._norm(x, layer.post_norm, layer.post_norm_bias)
            more = functional.linear(self._inner(normed, layer), layer.down, layer.down_bias)
            x = torch.add(x, more, alpha=config.residual_scale)
        x = self._norm(x[first_row:], weights.norm, weights.norm_bias) * config.logits_scale
        return functional.linear(x, weights.head)[:, : config.vocab]

    def _norm(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        shape, eps = (x.shape[-1],), self.config.norm_eps
        if self.config.layer_norm:
            return functional.layer_norm(x, shape, weight, bias, eps)
        return functional.rms_norm(x, shape, weight, eps)

    def _inner(self, x: Tensor, layer: LayerWeights) -> Tensor:
        """Give the rows [n, intermediate] that the MLP projects down."""
        inner = functional.linear(x, layer.gate_up, layer.gate_up_bias)
        if not self.config.gated:
            return self._activate(inner)
        gate, up = inner.chunk(2, -1)
        return self._activate(gate) * up

    def _project(self, x: Tensor, layer: LayerWeights) -> tuple[Tensor, Tensor, Tensor]:
        """Give queries [h, n, d], keys and values [k, n, d] of normed rows [n, hidden]."""
        config = self.config
        heads = functional.linear(x, layer.qkv, layer.qkv_bias)
        heads = heads.view(x.shape[0], -1, config.head_dim).transpose(0, 1)  # [h + 2k, n, d]
        q, k, v = torch.split(heads, [config.n_heads, config.n_kv_heads, config.n_kv_heads])
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = self._norm(q, layer.q_norm, None), self._norm(k, layer.k_norm, None)
        return q, k, v
