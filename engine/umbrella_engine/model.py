"""One lean decoder for the Llama-shaped families: Llama, Mistral, Qwen2, Qwen3.

It computes one forward pass over rows of tokens in one lane, writes their keys and values in place
and returns logits. It knows nothing of trees, prompts or policies: positions and the visibility of
the newest slots are handed in. Shapes: n rows, h heads, k key heads, d head_dim.
"""

import torch
from torch import Tensor
from torch.nn import functional

from umbrella_engine.attention import Attention
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.model_config import ModelConfig
from umbrella_engine.rope import rope_tables, rotate
from umbrella_engine.weights import DecoderWeights, LayerWeights


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
        self._scale = config.head_dim**-0.5
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
        x = functional.embedding(ids, weights.embedding)  # [n, hidden]
        for index, layer in enumerate(weights.layers):
            normed = self._norm(x, layer.input_norm)
            q, k, v = self._project(normed, layer)
            self.cache.write(index, lane, start, rotate(k, cos, sin), v)
            keys, values = self.cache.read(index, lane, length)
            mixed = self._attention(rotate(q, cos, sin), keys, values, mask, self._scale)
            x = x + functional.linear(mixed, layer.output, layer.output_bias)
            normed = self._norm(x, layer.post_norm)
            gate, up = functional.linear(normed, layer.gate_up, layer.gate_up_bias).chunk(2, -1)
            x = x + functional.linear(functional.silu(gate) * up, layer.down, layer.down_bias)
        x = self._norm(x[first_row:], weights.norm)
        return functional.linear(x, weights.head)[:, : config.vocab]

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), weight, self.config.norm_eps)

    def _project(self, x: Tensor, layer: LayerWeights) -> tuple[Tensor, Tensor, Tensor]:
        """Give queries [h, n, d], keys and values [k, n, d] of normed rows [n, hidden]."""
        config = self.config
        heads = functional.linear(x, layer.qkv, layer.qkv_bias)
        heads = heads.view(x.shape[0], -1, config.head_dim).transpose(0, 1)  # [h + 2k, n, d]
        q, k, v = torch.split(heads, [config.n_heads, config.n_kv_heads, config.n_kv_heads])
        if layer.q_norm is not None and layer.k_norm is not None:
            q, k = self._norm(q, layer.q_norm), self._norm(k, layer.k_norm)
        return q, k, v
