"""What a GGUF file says of its model: `config.json` and the checkpoint names of its tensors.

Only families whose import is proven equal, bit for bit, are known. What would silently change the
output, such as a feature this file does not translate, is refused. Knows nothing of quantisation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from umbrella_engine.errors import UnsupportedModel

CLASSES: Final = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
OUTSIDE: Final = {"token_embd.weight": "model.embed_tokens", "output_norm.weight": "model.norm"}
HEAD: Final = "output.weight"  # absent where the embedding serves as the head
ROPE_FACTORS: Final = "rope_freqs.weight"
LAYER: Final = {
    "attn_norm.weight": "input_layernorm",
    "attn_q.weight": "self_attn.q_proj",
    "attn_k.weight": "self_attn.k_proj",
    "attn_v.weight": "self_attn.v_proj",
    "attn_output.weight": "self_attn.o_proj",
    "ffn_norm.weight": "post_attention_layernorm",
    "ffn_gate.weight": "mlp.gate_proj",
    "ffn_up.weight": "mlp.up_proj",
    "ffn_down.weight": "mlp.down_proj",
}
LAYER_EXTRAS: Final = {
    "llama": {},
    "qwen2": {f"attn_{part}.bias": f"self_attn.{part}_proj" for part in "qkv"},
    "qwen3": {f"attn_{part}_norm.weight": f"self_attn.{part}_norm" for part in "qk"},
}
# Llama 3.1's own constants; its GGUF keeps only the factors that follow from them
LLAMA3_ROPE: Final = {
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}

Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Architecture:
    """The family of a GGUF file, with its metadata."""

    name: str  # general.architecture
    metadata: Metadata

    @classmethod
    def of(cls, metadata: Metadata) -> "Architecture":
        """Recognise the family. Raises UnsupportedModel."""
        name = str(metadata.get("general.architecture"))
        if name not in CLASSES:
            raise UnsupportedModel(
                f"it is a GGUF of the family {name!r}; imported are {', '.join(CLASSES)}. Name a "
                "folder with the model's safetensors instead"
            )
        if metadata.get("split.count", 1) > 1:
            raise UnsupportedModel(
                f"it is one of {metadata['split.count']} parts of a GGUF; join them with "
                "llama-gguf-split --merge"
            )
        return cls(name, metadata)

    def get(self, key: str, default: Any = None) -> Any:
        """Give a value of the family's own metadata."""
        return self.metadata.get(f"{self.name}.{key}", default)

    def need(self, key: str) -> Any:
        """Give a value that must be there. Raises UnsupportedModel."""
        value = self.get(key)
        if value is None or isinstance(value, list):
            raise UnsupportedModel(f"its metadata has no single value for {self.name}.{key}")
        return value

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return int(self.need("attention.head_count"))

    @property
    def n_kv_heads(self) -> int:
        """Number of key and value heads."""
        return int(self.get("attention.head_count_kv", self.n_heads))

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        width = self.need("embedding_length") // self.n_heads
        return int(self.get("attention.key_length", self.get("rope.dimension_count", width)))

    def tensor_names(self, present: Sequence[str]) -> dict[str, str]:
        """Map the file's tensors to checkpoint names. Raises UnsupportedModel where they differ."""
        names = {gguf: f"{ours}.weight" for gguf, ours in OUTSIDE.items()}
        if HEAD in present:
            names[HEAD] = "lm_head.weight"
        for layer in range(self.need("block_count")):
            for gguf, ours in (LAYER | LAYER_EXTRAS[self.name]).items():
                kind = gguf.rpartition(".")[2]
                names[f"blk.{layer}.{gguf}"] = f"model.layers.{layer}.{ours}.{kind}"
        if missing := sorted(names.keys() - present):
            raise UnsupportedModel(f"it has no tensor {missing[0]} ({len(missing)} are missing)")
        if unknown := sorted(set(present) - names.keys() - {ROPE_FACTORS}):
            raise UnsupportedModel(
                f"its tensor {unknown[0]} is none of a plain {self.name} model ({len(unknown)} "
                "such tensors)"
            )
        return names

    def config(
        self, vocab_size: int, tied: bool, rope_factors: Sequence[float] | None
    ) -> dict[str, Any]:
        """Give the content of `config.json`."""
        return {
            "architectures": [CLASSES[self.name]],
            "model_type": self.name,
            "dtype": "bfloat16",
            "vocab_size": vocab_size,
            "hidden_size": self.need("embedding_length"),
            "intermediate_size": self.need("feed_forward_length"),
            "num_hidden_layers": self.need("block_count"),
            "num_attention_heads": self.n_heads,
            "num_key_value_heads": self.n_kv_heads,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": self.need("context_length"),
            "rms_norm_eps": self.need("attention.layer_norm_rms_epsilon"),
            "rope_parameters": self._rope(rope_factors),
            "tie_word_embeddings": tied,
            "bos_token_id": self.metadata.get("tokenizer.ggml.bos_token_id"),
            "eos_token_id": self.metadata.get("tokenizer.ggml.eos_token_id"),
            "pad_token_id": self.metadata.get("tokenizer.ggml.padding_token_id"),
        }

    def _rope(self, factors: Sequence[float] | None) -> dict[str, Any]:
        theta = float(self.get("rope.freq_base", 10000.0))
        kind = self.get("rope.scaling.type", "none")
        if factors is not None:
            return self._llama3_rope(theta, factors)
        if self.get("rope.dimension_count", self.head_dim) != self.head_dim:
            raise UnsupportedModel("it rotates only a part of each head")
        if kind == "none":
            return {"rope_type": "default", "rope_theta": theta}
        if kind not in {"linear", "yarn"}:
            raise UnsupportedModel(f"it scales positions by {kind!r}, which is not imported")
        rope = {"rope_type": kind, "rope_theta": theta, "factor": self.need("rope.scaling.factor")}
        if kind == "yarn":
            original = self.need("rope.scaling.original_context_length")
            rope["original_max_position_embeddings"] = original
        return rope

    def _llama3_rope(self, theta: float, factors: Sequence[float]) -> dict[str, Any]:
        """Find the scaling whose factors the file holds. Raises UnsupportedModel."""
        factor = float(max(factors))
        if factor < 1 or len(factors) != self.head_dim // 2:
            raise UnsupportedModel("its rope_freqs are not those of Llama 3")
        for index, found in enumerate(factors):
            wavelength = 2 * math.pi * theta ** (2 * index / self.head_dim)
            turns = LLAMA3_ROPE["original_max_position_embeddings"] / wavelength
            low, high = LLAMA3_ROPE["low_freq_factor"], LLAMA3_ROPE["high_freq_factor"]
            smooth = min(max((turns - low) / (high - low), 0.0), 1.0)
            if not math.isclose(found, 1 / ((1 - smooth) / factor + smooth), rel_tol=1e-3):
                raise UnsupportedModel("its rope_freqs are not those of Llama 3")
        return {"rope_type": "llama3", "rope_theta": theta, "factor": factor} | LLAMA3_ROPE
