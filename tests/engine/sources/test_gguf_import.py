import json
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from tests.engine.sources.tiny_gguf import FAMILIES, random_model, write_gguf
from umbrella_engine.errors import UnsupportedModel, WeightsError
from umbrella_engine.interface import Progress
from umbrella_engine.sources.gguf_import import GgufImport, convert
from umbrella_engine.sources.stamps import stamp_file


def ignore(_: Progress) -> None:
    pass


def imported(gguf_file: Path, folder: Path) -> dict[str, torch.Tensor]:
    folder.mkdir()
    convert(gguf_file, folder, ignore)
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_comes_back_bit_for_bit(family: str, tmp_path: Path) -> None:
    model = random_model(family)
    found = imported(write_gguf(tmp_path / "m.gguf", model), tmp_path / "out")
    wanted = model.state_dict()
    if model.config.tie_word_embeddings:
        del wanted["lm_head.weight"]
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor.float(), wanted[name]), name


@pytest.mark.parametrize("family", FAMILIES)
def test_the_imported_folder_computes_what_the_model_did(family: str, tmp_path: Path) -> None:
    model = random_model(family)
    imported(write_gguf(tmp_path / "m.gguf", model), tmp_path / "out")
    again: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ids = torch.arange(4, 200)[None]  # [1, 196]: beyond yarn's original context
    with torch.no_grad():
        assert torch.allclose(again(ids).logits, model(ids).logits, atol=1e-5)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1", "Q5_0"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_quantized_tensors_equal_those_of_transformers(
    family: str, kind: str, tmp_path: Path
) -> None:
    model = random_model(family)
    path = write_gguf(
        tmp_path / "m.gguf", model, quantized=gguf.GGMLQuantizationType[kind], pre="qwen2"
    )
    found = imported(path, tmp_path / "out")
    loader: Any = load_gguf_checkpoint
    theirs = loader(
        str(path), return_tensors=True, model_to_load=model, torch_dtype=torch.bfloat16
    )["tensors"]
    assert found.keys() == theirs.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor.view(torch.int16), theirs[name].view(torch.int16)), name


@pytest.mark.parametrize("family", ["llama", "llama-tied", "qwen2"])
def test_the_config_is_the_one_transformers_reads(family: str, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", random_model(family))
    imported(path, tmp_path / "out")
    ours = AutoConfig.from_pretrained(tmp_path / "out").to_dict()
    theirs = AutoConfig.from_pretrained(path.parent, gguf_file=path.name).to_dict()
    said_by_ours = {"architectures", "dtype", "head_dim", "_name_or_path"}
    assert {k: v for k, v in ours.items() if k not in said_by_ours} == {
        k: v for k, v in theirs.items() if k not in said_by_ours
    }
    assert ours["head_dim"] == 16


def test_progress_goes_tensor_by_tensor_to_the_end(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", random_model("qwen2"))
    (tmp_path / "out").mkdir()
    seen: list[Progress] = []
    convert(path, tmp_path / "out", seen.append)
    steps = [p.done for p in seen if p.total]
    assert steps == list(range(len(steps)))
    assert seen[-1].done == seen[-1].total > 20
    assert {p.phase for p in seen} == {"converting"}


def obtain(gguf_file: Path, directory: Path, report: Any = ignore) -> Path:
    return GgufImport(gguf_file, directory).obtain(stamp_file(gguf_file), report)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf", random_model("qwen2"))


def test_a_second_import_reads_nothing_again(tiny: Path, tmp_path: Path) -> None:
    folder = obtain(tiny, tmp_path / "models")
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert folder.name == "tiny"
    assert obtain(tiny, tmp_path / "models") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("damaged", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_folder_is_made_again(damaged: str, tiny: Path, tmp_path: Path) -> None:
    folder = obtain(tiny, tmp_path / "models")
    good = (folder / damaged).read_bytes()
    (folder / damaged).write_bytes(good[:-1] + b"?")
    beside = folder.parent / "not ours.txt"
    beside.write_text("kept")
    seen: list[Progress] = []
    assert obtain(tiny, tmp_path / "models", seen.append) == folder
    assert (folder / damaged).read_bytes() == good
    assert f"has a damaged file, {damaged}; converting it again" in seen[0].message
    assert beside.read_text() == "kept"


def test_another_gguf_at_the_same_place_is_imported(tiny: Path, tmp_path: Path) -> None:
    folder = obtain(tiny, tmp_path / "models")
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen2"
    write_gguf(tiny, random_model("qwen3"))
    assert obtain(tiny, tmp_path / "models") == folder
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen3"


def test_a_cut_file_is_refused_and_nothing_is_left(tiny: Path, tmp_path: Path) -> None:
    tiny.write_bytes(tiny.read_bytes()[:-5000])
    with pytest.raises(WeightsError, match=r"tiny\.gguf is damaged or no GGUF file"):
        obtain(tiny, tmp_path / "models")
    assert not list((tmp_path / "models" / "converted").rglob("*tiny*"))


def test_something_else_is_no_gguf(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"no weights at all " * 100)
    with pytest.raises(WeightsError, match="no GGUF file"):
        obtain(path, tmp_path / "models")


def refused(tmp_path: Path, family: str, **changes: Any) -> str:
    path = write_gguf(tmp_path / "m.gguf", random_model(family), **changes)
    with pytest.raises(UnsupportedModel) as caught:
        obtain(path, tmp_path / "models")
    return str(caught.value)


def test_what_would_change_the_output_is_refused(tmp_path: Path) -> None:
    assert "unheard-of" in refused(tmp_path, "qwen2", pre="unheard-of")
    said = refused(tmp_path, "qwen2", without=("blk.1.attn_q.bias",))
    assert "no tensor blk.1.attn_q.bias (1 are missing)" in said
    said = refused(tmp_path, "llama", more_tensors=("blk.0.attn_q.bias",))
    assert "its tensor blk.0.attn_q.bias is none of a plain llama model" in said
    said = refused(tmp_path, "llama", metadata={"llama.rope.scaling.type": "longrope"})
    assert "'longrope'" in said
    said = refused(tmp_path, "llama", more_tensors=("rope_freqs.weight",))
    assert "not those of Llama 3" in said


def test_another_family_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "gemma2")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnsupportedModel, match="'gemma2'; imported are llama, qwen2, qwen3"):
        obtain(tmp_path / "m.gguf", tmp_path / "models")
