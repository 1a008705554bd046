"""Tiny GGUF files as llama.cpp's converter writes them, from tiny random transformers models."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoConfig, AutoModelForCausalLM

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>"]
MERGES = ["Ġ Ġ", "1 2", "d e", "de f"]
UNUSED = ["[PAD0]", "[PAD1]"]
TOKENS = [
    *SPECIAL,
    *sorted(ByteLevel.alphabet()),
    *(merge.replace(" ", "") for merge in MERGES),
    *UNUSED,
]
TYPES = [
    *(gguf.TokenType.CONTROL for _ in SPECIAL),
    *(gguf.TokenType.NORMAL for _ in TOKENS[len(SPECIAL) : -len(UNUSED)]),
    *(gguf.TokenType.UNUSED for _ in UNUSED),
]
SIZES: dict[str, Any] = {
    "vocab_size": len(TOKENS),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "head_dim": 16,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "tie_word_embeddings": False},
    "llama-tied": {"model_type": "llama", "tie_word_embeddings": True},
    "llama3": {
        "model_type": "llama",
        "head_dim": 64,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    },
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": False},
    "qwen2-tied-yarn": {
        "model_type": "qwen2",
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 128,
        },
    },
    "qwen3": {"model_type": "qwen3", "tie_word_embeddings": False, "head_dim": 32},
    "qwen3-tied": {"model_type": "qwen3", "tie_word_embeddings": True, "head_dim": 32},
}
PRE = {"llama": "smollm", "llama3": "llama-bpe"}  # else qwen2


def random_model(family: str) -> Any:
    """A transformers model of the family whose weights, norms and biases are bfloat16 numbers."""
    torch.manual_seed(7)
    config = AutoConfig.for_model(**(SIZES | FAMILIES[family]))
    factory: Any = AutoModelForCausalLM  # untyped
    model = factory.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((torch.randn_like(parameter) * 0.2).to(torch.bfloat16).float())
    return model.eval()


def write_gguf(
    path: Path,
    model: Any,
    *,
    quantized: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    pre: str = "",
    metadata: dict[str, str] | None = None,
    more_tensors: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> Path:
    """Write `model`; two-dimensional tensors in the type `quantized`."""
    config = model.config
    family = config.model_type
    writer = gguf.GGUFWriter(path, family)
    _write_metadata(writer, config, pre or PRE.get(family, "qwen2"))
    for key, value in (metadata or {}).items():
        writer.add_string(key, value)
    state = dict(model.state_dict())
    if config.tie_word_embeddings:
        del state["lm_head.weight"]
    arch = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}[family]
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for name, tensor in state.items():
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert theirs is not None, name
        if theirs in without:
            continue
        values = _as_llama_cpp(name, tensor, config)
        if values.ndim == 2 and quantized != gguf.GGMLQuantizationType.F32:
            writer.add_tensor(theirs, gguf.quantize(values, quantized), raw_dtype=quantized)
        else:
            writer.add_tensor(theirs, values)
    for theirs in more_tensors:
        writer.add_tensor(theirs, np.zeros(32, dtype=np.float32))
    if config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", _llama3_factors(model))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_metadata(writer: gguf.GGUFWriter, config: Any, pre: str) -> None:
    rope = config.rope_parameters
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    if config.model_type == "llama":
        writer.add_vocab_size(config.vocab_size)
        writer.add_rope_dimension_count(config.head_dim)
    elif config.model_type == "qwen3":
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types(TYPES)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(pre == "llama-bpe")


def _as_llama_cpp(name: str, tensor: torch.Tensor, config: Any) -> Any:
    """Order the rows of Llama's queries and keys as llama.cpp's `permute` does."""
    values = tensor.numpy()
    for part, n_heads in (
        ("q_proj", config.num_attention_heads),
        ("k_proj", config.num_key_value_heads),
    ):
        if config.model_type == "llama" and part in name:
            halves = values.reshape(n_heads, 2, values.shape[0] // n_heads // 2, values.shape[1])
            values = halves.swapaxes(1, 2).reshape(values.shape)
    return np.ascontiguousarray(values)


def _llama3_factors(model: Any) -> Any:
    """Factors by which Llama 3 slows each frequency, out of transformers' own computation."""
    config = model.config
    plain = 1.0 / config.rope_parameters["rope_theta"] ** (
        torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    )
    return (plain / model.model.rotary_emb.inv_freq).numpy()
