"""Families that transformers computes: prompt, tree and kept path against plain transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.hf_families import HF_FAMILIES
from tests.engine.tiny import VOCAB, load_tiny, save_family
from umbrella_engine.hf_graphs import DeviceLanes, capture
from umbrella_engine.hf_model import HFDecoder
from umbrella_engine.self_test import self_test
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


@pytest.mark.parametrize(
    "family",
    [
        "hf-cohere2",
        "hf-deepseek_v3",
        "hf-gemma2",
        "hf-gpt2",
        "hf-gpt_oss",
        "hf-phi3",
        "hf-qwen3_moe",
        "hf-stablelm",
    ],
)
def test_passes_that_read_all_from_the_device_equal_transformers(
    family: str, tmp_path: Path
) -> None:
    """What a GPU captures, run as it is."""

    def captured(decoder: HFDecoder) -> None:
        told: list[str] = []
        capture(decoder, told.append)
        assert told == [f"{decoder.config.architecture} runs as CUDA graphs of up to 64 rows"]
        assert decoder.captured is not None

    compare(family, tmp_path, "cpu", captured)


def test_a_family_whose_graphs_differ_runs_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(self: DeviceLanes) -> None:
        begin(self)
        self._at += 1

    def broken(self: DeviceLanes) -> None:
        raise RuntimeError("called a synchronizing CUDA operation\nmore")

    save_family("hf-gemma2", tmp_path)
    decoder, begin = load_tiny(tmp_path).decoder, DeviceLanes.begin
    assert isinstance(decoder, HFDecoder)
    told: list[str] = []
    for change in (off_by_one, broken):
        monkeypatch.setattr(DeviceLanes, "begin", change)
        capture(decoder, told.append)
        assert decoder.captured is None
        self_test(decoder)  # the module is as it was
    assert "Gemma2ForCausalLM runs without CUDA graphs: they give other logits" in told[0]
    assert told[1].endswith("RuntimeError: called a synchronizing CUDA operation")


@pytest.mark.gpu
@pytest.mark.parametrize("family", HF_FAMILIES)
def test_the_same_on_a_gpu(family: str, tmp_path: Path) -> None:
    def say(decoder: HFDecoder) -> None:
        print(family, "in graphs" if decoder.captured else "without graphs")

    compare(family, tmp_path, "cuda", say)


def compare(
    family: str,
    tmp_path: Path,
    device: str,
    change: Callable[[HFDecoder], None] = lambda _decoder: None,
) -> None:
    reference = save_family(family, tmp_path)
    reference.set_attn_implementation("eager")
    tree = Tree()
    trunk = tree.add_chain([5, 6, 7])
    other = tree.add(9)
    kept = tree.add(6, parent=other)
    tree.add(11, parent=tree.path(trunk)[0])

    model = load_tiny(tmp_path, chunk_tokens=9, device=device)
    assert isinstance(model.decoder, HFDecoder)
    change(model.decoder)
    with model.open(IDS) as context:
        rest = context.prefill(IDS, checkpoint=lambda: None)
        ours = context.evaluate(rest, tree)
        context.keep(tree, tree.path(kept))
        ours = torch.cat((ours, context.evaluate([13], Tree())))
    texts = [IDS, *(IDS + tree.path_tokens(node) for node in range(len(tree)))]
    expected = plain(reference, [*texts, [*IDS, 9, 6, 13]])
    assert expected.std() > 0.1
    assert (ours.cpu() - expected).abs().max() <= 1e-4
