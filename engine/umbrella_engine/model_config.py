"""The shape of a Llama-like decoder, read from `config.json`. No torch, no hub names.

Dispatch is on the `architectures` entry; `obstacle` says why a model is not of this shape.
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

    @property
    def value_dim(self) -> int:
        """Size of a value in one head; keys and values are alike here."""
        return self.head_dim

    def kv_bytes_per_token(self, element_bytes: int) -> int:
        """Bytes of keys and values that one token takes in all layers."""
        return 2 * self.n_layers * self.n_kv_heads * self.head_dim * element_bytes


def read_model_config(folder: Path) -> ModelConfig:
    """Read `folder/config.json`; raises UnsupportedModel as `parse_model_config` does."""
    return parse_model_config(read_raw_config(folder), str(folder / "config.json"))


def read_raw_config(folder: Path) -> dict[str, Any]:
    """Read `folder/config.json` as it is.

    Raises UnsupportedModel where the file is missing or no JSON object, or where the weights are
    quantised: read as plain numbers they would give nonsense.
    """
    path = folder / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnsupportedModel(f"{folder} has no config.json: it is not a model folder") from None
    except ValueError as error:
        raise UnsupportedModel(f"{path} is not valid JSON: {error}") from error
    if not isinstance(raw, dict):
        raise UnsupportedModel(f"{path} does not describe a model")
    quantised = raw.get("quantization_config")
    if quantised:
        raise UnsupportedModel(
            f"the weights in {folder} are quantised ({quantised.get('quant_method', '?')}), which "
            "the engine does not read; use the model's 16-bit safetensors or a GGUF file"
        )
    return raw


def architecture_of(raw: dict[str, Any]) -> str:
    """Name the architecture of a `config.json`; "?" where it names none."""
    return str((raw.get("architectures") or ["?"])[0])


def obstacle(raw: dict[str, Any]) -> str:
    """Say why the model of a `config.json` is none that `model.Decoder` computes; "" if it is."""
    architecture = architecture_of(raw)
    if architecture not in ARCHITECTURES:
        return f"is a {architecture}; our own decoder runs {', '.join(sorted(ARCHITECTURES))}"
    # a Mistral file without the entry means the default of that family
    window = raw.get("sliding_window", 4096 if architecture == "MistralForCausalLM" else None)
    switched_off = raw.get("use_sliding_window") is False
    if window and not switched_off and window < raw.get("max_position_embeddings", 0):
        return f"limits attention to a sliding window of {window} tokens"
    if raw.get("hidden_act", "silu") != "silu":
        return f"uses the activation {raw['hidden_act']}, not silu"
    kind = _rope_type(_rope_scaling(raw) or {})
    if kind in {"dynamic", "longrope"}:
        return f"asks for {kind} RoPE, whose rotation changes with the length of the text"
    return ""


def parse_model_config(raw: dict[str, Any], place: str) -> ModelConfig:
    """Turn the content of a `config.json` into a `ModelConfig`; `place` is named in errors.

    Raises UnsupportedModel where there is an `obstacle` or something is missing.
    """
    reason = obstacle(raw)
    if reason:
        raise UnsupportedModel(f"{place} {reason}")
    rope = raw.get("rope_parameters") or {}
    try:
        n_heads = int(raw["num_attention_heads"])
        hidden = int(raw["hidden_size"])
        return ModelConfig(
            architecture=architecture_of(raw),
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
            rope_scaling=_rope_scaling(raw),
            tied_head=bool(raw.get("tie_word_embeddings", False)),
            raw=raw,
        )
    except KeyError as error:
        raise UnsupportedModel(f"{place} has no {error.args[0]}") from error


def _rope_scaling(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Give the settings of a scaled RoPE, in old and new files alike; None for plain RoPE."""
    rope: dict[str, Any] = raw.get("rope_parameters") or {}
    return raw.get("rope_scaling") or (rope if _rope_type(rope) != "default" else None)


def _rope_type(rope: dict[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")
