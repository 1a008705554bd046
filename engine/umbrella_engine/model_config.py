"""The shape of a Llama-like decoder, read from `config.json`. No torch, no hub names.

Dispatch is on the `architectures` entry; an unlisted architecture is refused with the list.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umbrella_engine.errors import UnsupportedModel

ARCHITECTURES = frozenset(
    {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}
)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes and switches of one decoder."""

    architecture: str
    n_layers: int
    hidden: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    norm_eps: float
    max_positions: int
    rope_theta: float
    rope_scaling: dict[str, Any] | None  # as in config.json, None for plain RoPE
    tied_head: bool
    raw: dict[str, Any]  # the whole config.json

    def kv_bytes_per_token(self, element_bytes: int) -> int:
        """Bytes of keys and values that one token takes in all layers."""
        return 2 * self.n_layers * self.n_kv_heads * self.head_dim * element_bytes


def read_model_config(folder: Path) -> ModelConfig:
    """Read `folder/config.json`.

    Raises UnsupportedModel where the file is missing, is no JSON, names an architecture that the
    engine does not run or asks for a feature that would silently change the output.
    """
    path = folder / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnsupportedModel(f"{folder} has no config.json: it is not a model folder") from None
    except ValueError as error:
        raise UnsupportedModel(f"{path} is not valid JSON: {error}") from error
    return parse_model_config(raw, str(path))


def parse_model_config(raw: dict[str, Any], place: str) -> ModelConfig:
    """Turn the content of a `config.json` into a `ModelConfig`; `place` is named in errors."""
    architecture = (raw.get("architectures") or ["?"])[0]
    if architecture not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise UnsupportedModel(f"{place} is a {architecture}; the engine runs {known}")
    _refuse_sliding_window(raw, place)
    if raw.get("hidden_act", "silu") != "silu":
        raise UnsupportedModel(f"{place} uses the activation {raw['hidden_act']}, not silu")
    rope = raw.get("rope_parameters") or {}
    scaling = raw.get("rope_scaling") or (rope if _rope_type(rope) != "default" else None)
    if scaling is not None and _rope_type(scaling) in {"dynamic", "longrope"}:
        raise UnsupportedModel(
            f"{place} asks for {_rope_type(scaling)} RoPE, whose rotation changes with the length "
            "of the text: cached keys would become wrong"
        )
    try:
        n_heads = int(raw["num_attention_heads"])
        hidden = int(raw["hidden_size"])
        return ModelConfig(
            architecture=architecture,
            n_layers=int(raw["num_hidden_layers"]),
            hidden=hidden,
            n_heads=n_heads,
            n_kv_heads=int(raw.get("num_key_value_heads") or n_heads),
            head_dim=int(raw.get("head_dim") or hidden // n_heads),
            intermediate=int(raw["intermediate_size"]),
            vocab=int(raw["vocab_size"]),
            norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
            max_positions=int(raw.get("max_position_embeddings", 4096)),
            rope_theta=float(raw.get("rope_theta") or rope.get("rope_theta") or 10000.0),
            rope_scaling=scaling,
            tied_head=bool(raw.get("tie_word_embeddings", False)),
            raw=raw,
        )
    except KeyError as error:
        raise UnsupportedModel(f"{place} has no {error.args[0]}") from error


def _rope_type(rope: dict[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")


def _refuse_sliding_window(raw: dict[str, Any], place: str) -> None:
    """Refuse configurations whose layers look back over a limited window only."""
    window = raw.get("sliding_window")
    switched_off = raw.get("use_sliding_window") is False
    if window and not switched_off and window < raw.get("max_position_embeddings", 0):
        raise UnsupportedModel(
            f"{place} limits attention to a sliding window of {window} tokens, which the engine "
            "does not implement"
        )
