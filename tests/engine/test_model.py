"""Our decoder against transformers, family by family, and trees against plain text."""

from pathlib import Path

import pytest
import torch

from tests.engine.tiny import FAMILIES, SMALL, VOCAB, load_tiny, save_family
from umbrella_engine.errors import ContextOverflow, UnsupportedModel
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.model_config import ModelConfig, parse_model_config, read_model_config
from umbrella_engine.tree import Tree

IDS = [int(i) for i in torch.randint(0, VOCAB, (70,), generator=torch.Generator().manual_seed(3))]


def prompt_logits(model: LanguageModel, ids: list[int]) -> torch.Tensor:
    """Logits [n, vocab] of every token, each token evaluated by itself after a short chunk."""
    rows = []
    with model.open(ids) as context:
        for start in range(context.length, len(ids)):
            rows.append(context.evaluate(ids[start : start + 1], Tree()))
    return torch.cat(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_transformers(family: str, tmp_path: Path) -> None:
    reference = save_family(family, tmp_path)
    expected = reference(torch.tensor([IDS])).logits[0]
    ours = prompt_logits(load_tiny(tmp_path), IDS)
    assert (ours - expected).abs().max() <= 1e-4

    chunked = load_tiny(tmp_path, chunk_tokens=9)
    with chunked.open(IDS) as context:
        rest = context.prefill(IDS, checkpoint=lambda: None)
        last = context.evaluate(rest, Tree())
    assert (last[0] - expected[-1]).abs().max() <= 1e-4


@pytest.mark.parametrize(
    "family", ["llama", "qwen3", "granite", "mistral-window", "starcoder2-window"]
)
def test_tree_nodes_equal_their_paths(family: str, tmp_path: Path) -> None:
    reference = save_family(family, tmp_path)
    tree = Tree()
    left = tree.add_chain([5, 6, 7])
    right = tree.add(9)
    tree.add(6, parent=right)
    tree.add(11, parent=tree.path(left)[0])

    model = load_tiny(tmp_path)
    with model.open(IDS) as context:
        logits = context.evaluate(context.prefill(IDS, checkpoint=lambda: None), tree)
    for node in range(len(tree)):
        text = torch.tensor([IDS + tree.path_tokens(node)])
        expected = reference(text).logits[0, -1]
        assert (logits[1 + node] - expected).abs().max() <= 1e-4

    with model.open(IDS) as context:  # the same tree level by level, then one path kept
        context.evaluate(IDS[context.length :], Tree())
        grown = Tree()
        for level in range(1, 4):
            seen = len(grown)
            for node in range(len(tree)):
                if tree.depths[node] == level:
                    grown.add_chain(tree.path_tokens(node))
            context.evaluate([], grown, first_node=seen)
        first = grown.child(-1, 9)
        assert first is not None
        below = grown.child(first, 6)
        assert below is not None
        context.keep(grown, grown.path(below))
        logits = context.evaluate([13], Tree())
    expected = reference(torch.tensor([[*IDS, 9, 6, 13]])).logits[0, -1]
    assert (logits[0] - expected).abs().max() <= 1e-4


def test_overflow_is_refused_with_numbers(tmp_path: Path) -> None:
    save_family("llama", tmp_path)
    model = load_tiny(tmp_path, capacity=32)
    with model.open(IDS) as context, pytest.raises(ContextOverflow, match=r"70 tokens.*32"):
        context.evaluate(IDS, Tree())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "GPT2LMHeadModel; our own decoder runs Granite"),
        ({"sliding_window": 128}, "sliding window of 128 tokens in some"),
        ({"hidden_act": "gelu"}, "activation gelu"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "dynamic RoPE"),
    ],
)
def test_unsupported_models_are_named(change: dict[str, object], message: str) -> None:
    raw = {**SMALL, "architectures": ["LlamaForCausalLM"], **change}
    with pytest.raises(UnsupportedModel, match=message):
        parse_model_config(raw, "config.json")


def test_what_a_config_leaves_out_is_the_default_of_its_family() -> None:
    def parsed(architecture: str, **changes: object) -> ModelConfig:
        return parse_model_config({**SMALL, "architectures": [architecture], **changes}, "")

    mistral = parsed("MistralForCausalLM", max_position_embeddings=8192)
    assert mistral.window == 4096
    assert parsed("MistralForCausalLM", max_position_embeddings=4096).window is None
    starcoder = parsed("Starcoder2ForCausalLM")
    assert (starcoder.activation, starcoder.tied_head) == ("gelu_pytorch_tanh", True)
    assert (starcoder.layer_norm, starcoder.gated, starcoder.norm_eps) == (True, False, 1e-5)
    assert parsed("GraniteForCausalLM").scale == 1.0
    assert parsed("LlamaForCausalLM").scale == 8**-0.5


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"no config\.json"):
        read_model_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UnsupportedModel, match="not valid JSON"):
        read_model_config(tmp_path)
