"""Who computes a model is decided from its config.json."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from tests.engine.tiny import load_tiny, save_family
from umbrella_engine.errors import UnsupportedModel, WeightsError
from umbrella_engine.families import read_config
from umbrella_engine.model_config import ModelConfig


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_our_decoder_runs_what_it_can(tmp_path: Path) -> None:
    save_family("qwen2", tmp_path)
    assert isinstance(read_config(tmp_path), ModelConfig)
    change_config(tmp_path, hidden_act="gelu")  # transformers computes it
    config = read_config(tmp_path)
    assert not isinstance(config, ModelConfig)
    assert (config.n_layers, config.n_kv_heads, config.head_dim, config.vocab) == (2, 2, 8, 61)
    assert config.kv_bytes_per_token(2) == 2 * 2 * 2 * 8 * 2


def test_unknown_architectures_are_named(tmp_path: Path) -> None:
    save_family("qwen2", tmp_path)
    change_config(tmp_path, architectures=["ViTForImageClassification"])
    with pytest.raises(UnsupportedModel, match=r"ViTForImageClassification.* no decoder"):
        read_config(tmp_path)


def test_a_config_that_transformers_cannot_read_is_refused(tmp_path: Path) -> None:
    save_family("hf-phi3", tmp_path)
    change_config(tmp_path, model_type="phi77")
    with pytest.raises(UnsupportedModel, match=r"(?s)Phi3ForCausalLM.*phi77"):
        read_config(tmp_path)


def test_values_that_transformers_refuses_are_named(tmp_path: Path) -> None:
    save_family("hf-phi3", tmp_path)
    change_config(tmp_path, num_hidden_layers="many")
    with pytest.raises(UnsupportedModel, match=r"(?s)cannot read the config\.json.*many"):
        read_config(tmp_path)


def test_layers_of_different_shapes_are_refused(tmp_path: Path) -> None:
    config = AutoConfig.for_model("gemma4_text")
    config.architectures = ["Gemma4ForCausalLM"]
    config.save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModel, match=r"Gemma4ForCausalLM.*'head_dim' is a per-layer"):
        read_config(tmp_path)


def test_rope_that_depends_on_the_length(tmp_path: Path) -> None:
    save_family("llama", tmp_path)
    dynamic = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    change_config(tmp_path, rope_parameters=dynamic)
    with pytest.raises(UnsupportedModel, match="dynamic RoPE"):
        read_config(tmp_path)

    long = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [2.0] * 4,
        "original_max_position_embeddings": 128,
    }
    change_config(tmp_path, rope_parameters=long)
    assert read_config(tmp_path).max_positions == 128  # up to here the rotation stays the same
    load_tiny(tmp_path, capacity=128)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    save_family("llama", tmp_path)
    change_config(tmp_path, quantization_config={"quant_method": "awq", "bits": 4})
    with pytest.raises(UnsupportedModel, match=r"quantised \(awq\)"):
        read_config(tmp_path)


def test_missing_and_damaged_weights_are_refused(tmp_path: Path) -> None:
    save_family("hf-phi3", tmp_path)
    change_config(tmp_path, num_hidden_layers=3)
    with pytest.raises(UnsupportedModel, match=r"lacks \d+ tensors of a Phi3ForCausalLM"):
        load_tiny(tmp_path)
    change_config(tmp_path, num_hidden_layers=2)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_tiny(tmp_path)
    weights.unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load_tiny(tmp_path)
