"""What the cache and the settings need to know of a model that transformers runs.

`config.json` is read by transformers, without its remote code. What cannot work is refused here,
before any weight is read; what can only be seen in a forward pass is left to `self_test`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from umbrella_engine.errors import UnsupportedModel

LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})


@dataclass(frozen=True, slots=True)
class HFConfig:
    """Sizes of one model and the class of transformers that computes it."""

    architecture: str
    n_layers: int
    n_kv_heads: int
    head_dim: int  # of what is cached as keys
    value_dim: int  # of what is cached as values
    vocab: int
    max_positions: int
    windows: tuple[int | None, ...]  # how far each layer looks back; None: to the first token
    model_class: type[PreTrainedModel]

    def kv_bytes_per_token(self, element_bytes: int) -> int:
        """Bytes of keys and values that one token takes in all layers."""
        return self.n_layers * self.n_kv_heads * (self.head_dim + self.value_dim) * element_bytes


def read_hf_config(folder: Path, architecture: str) -> HFConfig:
    """Read `folder/config.json` through transformers.

    Raises UnsupportedModel where transformers has no decoder of this name, where its code leaves no
    room for our attention, or where keys in the cache would not stay valid.
    """
    place = f"{folder.name} ({architecture})"
    model_class = _model_class(place, architecture)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise UnsupportedModel(
            f"transformers {transformers.__version__} cannot read the config.json of {place}: "
            f"{error}. A newer transformers may know it"
        ) from error
    text = config.get_text_config(decoder=True)
    unknown = set(getattr(text, "layer_types", None) or ()) - LAYER_TYPES
    if unknown:
        raise UnsupportedModel(
            f"{place} has layers of {', '.join(sorted(unknown))}, whose memory cannot be taken "
            "back to the accepted tokens; choose a model with full or sliding attention in every "
            "layer"
        )
    try:
        n_kv_heads, head_dim, value_dim = _cached_shape(text)
        return HFConfig(
            architecture=architecture,
            n_layers=int(text.num_hidden_layers),
            n_kv_heads=n_kv_heads,
            head_dim=head_dim,
            value_dim=value_dim,
            vocab=int(text.vocab_size),
            max_positions=_max_positions(text, place),
            windows=_windows(text),
            model_class=model_class,
        )
    except (AttributeError, RuntimeError) as error:  # also what differs from layer to layer
        reason = str(error).partition(". ")[0]
        raise UnsupportedModel(
            f"{place} does not say in one number what a token takes in every layer ({reason}); "
            "choose a model of another family"
        ) from error


def _model_class(place: str, architecture: str) -> type[PreTrainedModel]:
    if architecture not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        raise UnsupportedModel(
            f"{place} is no decoder that transformers {transformers.__version__} knows. The engine "
            "runs Granite, Llama, Mistral, Qwen2, Qwen3 and StarCoder2 itself and other decoders "
            "through transformers; its README lists those that were tested"
        )
    model_class: type[PreTrainedModel] = getattr(transformers, architecture)
    # some families that use the interface do not say so, hence the second look
    uses_interface = "ALL_ATTENTION_FUNCTIONS" in vars(sys.modules[model_class.__module__])
    if not (model_class._supports_attention_backend or uses_interface):
        raise UnsupportedModel(
            f"{place}: its code in transformers {transformers.__version__} computes attention by "
            "itself and would ignore the shape of a tree of drafted tokens; choose a model of "
            "another family"
        )
    return model_class


def _cached_shape(text: PreTrainedConfig) -> tuple[int, int, int]:
    """Give key heads, size of a key and size of a value, as a layer hands them to the cache."""
    if getattr(text, "kv_lora_rank", None):  # latent attention caches what heads are made of
        return 1, int(text.kv_lora_rank), int(text.qk_rope_head_dim)
    n_heads = int(text.num_attention_heads)
    size = int(getattr(text, "head_dim", None) or text.hidden_size // n_heads)
    if getattr(text, "multi_query", False):
        return 1, size, size
    return int(getattr(text, "num_key_value_heads", None) or n_heads), size, size


def _max_positions(text: PreTrainedConfig, place: str) -> int:
    """Give how many positions keep their rotation whatever the length of the text."""
    longest = int(getattr(text, "max_position_embeddings", None) or 4096)
    for rope in _ropes(getattr(text, "rope_parameters", None) or {}):
        kind = rope.get("rope_type", "default")
        if kind == "dynamic":
            raise UnsupportedModel(
                f"{place} asks for dynamic RoPE, whose rotation changes with the length of the "
                "text: cached keys would become wrong. Remove it from config.json to use the model "
                "within its original length"
            )
        if kind == "longrope":  # beyond this length all keys would have to be rotated anew
            original = rope.get("original_max_position_embeddings")
            longest = min(longest, int(original or text.original_max_position_embeddings))
    return longest


def _ropes(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the RoPE settings, one for all layers or one for each type of layer."""
    nested = [rope for rope in parameters.values() if isinstance(rope, dict)]
    return nested or [parameters]


def _windows(text: PreTrainedConfig) -> tuple[int | None, ...]:
    window = getattr(text, "sliding_window", None)
    types = getattr(text, "layer_types", None)
    if types is None:
        return (window,) * int(text.num_hidden_layers)
    return tuple(window if kind == "sliding_attention" else None for kind in types)
