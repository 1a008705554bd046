"""Families that transformers computes: prompt, tree and kept path against plain transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.hf_families import HF_FAMILIES
from tests.engine.tiny import VOCAB, load_tiny, save_family
from umbrella_engine.hf_model import HFDecoder
from umbrella_engine.tree import Tree

IDS = [int(i) for i in torch.randint(3, VOCAB, (30,), generator=torch.Generator().manual_seed(3))]


@torch.inference_mode()
def plain(reference: Any, texts: list[list[int]]) -> torch.Tensor:
    """Logits [texts, vocab] after each text, without any cache, all in one pass."""
    longest = max(map(len, texts))
    padded = torch.tensor([text + [5] * (longest - len(text)) for text in texts])
    logits = reference(padded, use_cache=False).logits
    return torch.stack([logits[row, len(text) - 1] for row, text in enumerate(texts)])


@pytest.mark.parametrize("family", HF_FAMILIES)
def test_prompt_tree_and_kept_path_equal_transformers(family: str, tmp_path: Path) -> None:
    compare(family, tmp_path, "cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("family", HF_FAMILIES)
def test_the_same_on_a_gpu(family: str, tmp_path: Path) -> None:
    compare(family, tmp_path, "cuda")


def compare(family: str, tmp_path: Path, device: str) -> None:
    reference = save_family(family, tmp_path)
    reference.set_attn_implementation("eager")
    tree = Tree()
    trunk = tree.add_chain([5, 6, 7])
    other = tree.add(9)
    kept = tree.add(6, parent=other)
    tree.add(11, parent=tree.path(trunk)[0])

    model = load_tiny(tmp_path, chunk_tokens=9, device=device)
    assert isinstance(model.decoder, HFDecoder)
    with model.open(IDS) as context:
        rest = context.prefill(IDS, checkpoint=lambda: None)
        ours = context.evaluate(rest, tree)
        context.keep(tree, tree.path(kept))
        ours = torch.cat((ours, context.evaluate([13], Tree())))
    texts = [IDS, *(IDS + tree.path_tokens(node) for node in range(len(tree)))]
    expected = plain(reference, [*texts, [*IDS, 9, 6, 13]])
    assert expected.std() > 0.1
    assert (ours.cpu() - expected).abs().max() <= 1e-4
