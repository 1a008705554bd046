"""How a draft begins: as the first layers of its target, where these fit."""

from typing import Any

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from umbrella_engine.distill.draft import DraftModel, draft_config

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0},
}


@pytest.fixture
def llama() -> PreTrainedModel:
    torch.manual_seed(5)
    return LlamaForCausalLM(LlamaConfig(**SIZES))


def draft_of(target: PreTrainedModel, intermediate: int) -> DraftModel:
    return DraftModel(draft_config(target, 2, 0, intermediate), 32, torch.arange(40))


def test_a_draft_of_the_targets_shape_begins_as_its_first_layers(llama: PreTrainedModel) -> None:
    draft = draft_of(llama, 48)
    assert draft.begin_as(llama)
    ids = torch.randint(0, 60, (1, 9))
    with torch.no_grad():
        began = draft(llama.get_input_embeddings()(ids))
        layers = llama.model.layers
        llama.model.layers = layers[:2]
        theirs = llama.model(ids).last_hidden_state
    assert torch.allclose(began, theirs, atol=1e-6)


def test_a_draft_of_another_shape_keeps_its_own_beginning(llama: PreTrainedModel) -> None:
    draft = draft_of(llama, 40)
    before = {name: one.clone() for name, one in draft.state_dict().items()}
    assert not draft.begin_as(llama)
    assert all(torch.equal(one, before[name]) for name, one in draft.state_dict().items())


def test_layers_with_tensors_of_their_own_are_not_taken_over() -> None:
    target = Qwen2ForCausalLM(Qwen2Config(**SIZES))
    assert not draft_of(target, 48).begin_as(target)
