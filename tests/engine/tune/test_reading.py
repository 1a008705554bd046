"""How many bytes of weights a pass reads, against what stands in the files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.tiny import VOCAB, load_tiny, save_family
from umbrella_engine.shared_draft import ReducedOutput
from umbrella_engine.tune.reading import bytes_read


@pytest.mark.parametrize("family", ["llama", "llama-tied-mha", "qwen3", "starcoder2", "hf-olmo2"])
def test_all_is_read_but_an_embedding_that_is_no_head(family: str, tmp_path: Path) -> None:
    save_family(family, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    tied = "lm_head.weight" not in stored
    embedding = stored["model.embed_tokens.weight"].nbytes
    expected = sum(tensor.nbytes for tensor in stored.values()) - (0 if tied else embedding)
    decoder = load_tiny(tmp_path).decoder
    assert bytes_read(decoder) == expected
    assert bytes_read(ReducedOutput(decoder, torch.arange(VOCAB), VOCAB)) == expected


@pytest.mark.parametrize("family", ["hf-mixtral", "hf-granitemoe", "hf-qwen2_moe"])
def test_experts_that_rows_choose_are_not_guessed(family: str, tmp_path: Path) -> None:
    save_family(family, tmp_path)
    assert bytes_read(load_tiny(tmp_path).decoder) is None
