"""The shape of a Llama-like decoder, read from `config.json`. No torch, no hub names.

Dispatch is on the `architectures` entry; `obstacle` says why a model is not of this shape.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umbrella_engine.errors import UnsupportedModel

SHARED_DRAFT = "UmbrellaDraftForCausalLM"  # layers of Llama's shape between a target's tables
# what a config.json of each architecture means where it is silent
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "GraniteForCausalLM": {"attention_multiplier": 1.0},
    "LlamaForCausalLM": {},
    "MistralForCausalLM": {"sliding_window": 4096},
    "Qwen2ForCausalLM": {},
    "Qwen3ForCausalLM": {},
    "Starcoder2ForCausalLM": {
        "hidden_act": "gelu_pytorch_tanh",
        "norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    },
    SHARED_DRAFT: {},
}
ONE_WINDOW = frozenset({"MistralForCausalLM", "Starcoder2ForCausalLM"})  # the same in all layers
LAYER_NORM = frozenset({"Starcoder2ForCausalLM"})  # and no gate
ACTIVATIONS = ("silu", "gelu_pytorch_tanh")


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
    window: int | None = None  # positions that a row sees, itself included; None: all
    layer_norm: bool = False  # else RMS norm
    gated: bool = True
    activation: str = ACTIVATIONS[0]
    embedding_scale: float = 1.0
    residual_scale: float = 1.0  # of what attention and MLP add
    attention_scale: float | None = None  # None: head_dim ** -0.5
    logits_scale: float = 1.0

    @property
    def scale(self) -> float:
        """What attention multiplies scores by."""
        return self.head_dim**-0.5 if self.attention_scale is None else self.attention_scale

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
    raw = ARCHITECTURES[architecture] | raw
    window = _window(raw)
    if window and architecture not in ONE_WINDOW:
        return f"limits attention to a sliding window of {window} tokens in some layers"
    activation = raw.get("hidden_act", ACTIVATIONS[0])
    if activation not in ACTIVATIONS:
        return f"uses the activation {activation}, not {' or '.join(ACTIVATIONS)}"
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
    architecture = architecture_of(raw)
    given, raw = raw, ARCHITECTURES[architecture] | raw
    rope = raw.get("rope_parameters") or {}
    layer_norm = architecture in LAYER_NORM
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
            norm_eps=float(raw.get("norm_epsilon" if layer_norm else "rms_norm_eps", 1e-6)),
            max_positions=int(raw.get("max_position_embeddings", 4096)),
            rope_theta=float(raw.get("rope_theta") or rope.get("rope_theta") or 10000.0),
            rope_scaling=_rope_scaling(raw),
            tied_head=bool(raw.get("tie_word_embeddings", False)),
            raw=given,
            window=_window(raw),
            layer_norm=layer_norm,
            gated=not layer_norm,
            activation=raw.get("hidden_act", ACTIVATIONS[0]),
            embedding_scale=float(raw.get("embedding_multiplier", 1.0)),
            residual_scale=float(raw.get("residual_multiplier", 1.0)),
            attention_scale=raw.get("attention_multiplier"),
            logits_scale=1.0 / float(raw.get("logits_scaling", 1.0)),
        )
    except KeyError as error:
        raise UnsupportedModel(f"{place} has no {error.args[0]}") from error


def _window(raw: dict[str, Any]) -> int | None:
    """Give how many positions a row sees; None where that is never fewer than there are."""
    window: int | None = raw.get("sliding_window")
    if not window or raw.get("use_sliding_window") is False:
        return None
    return window if window < raw.get("max_position_embeddings", 0) else None


def _rope_scaling(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Give the settings of a scaled RoPE, in old and new files alike; None for plain RoPE."""
    rope: dict[str, Any] = raw.get("rope_parameters") or {}
    return raw.get("rope_scaling") or (rope if _rope_type(rope) != "default" else None)


def _rope_type(rope: dict[str, Any]) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")
