"""From a pair's description to answers: a target that transformers computes, a draft of our own."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests import bpe
from tests.engine.tiny import save_family
from umbrella_engine import load as loading
from umbrella_engine.config import DraftConfig, EngineConfig, ModelSource, PairConfig
from umbrella_engine.errors import DoesNotFit, ModelMismatch
from umbrella_engine.interface import Limits, Progress
from umbrella_engine.load import load
from umbrella_engine.stats import Stats
from umbrella_engine.tokenizer import HFTokenizer, load_tokenizer


def save_pair(folder: Path, draft_kind: str = "fim") -> PairConfig:
    for role, family, kind in (
        ("target", "hf-phi3", "fim"),
        ("draft", "hf-gpt_bigcode", draft_kind),
    ):
        (folder / role).mkdir()
        tokenizer = bpe.write(folder / role, kind)
        save_family(family, folder / role, vocab_size=tokenizer.vocab_size)
    return PairConfig(
        name="tiny",
        target=ModelSource(path=str(folder / "target")),
        draft=ModelSource(path=str(folder / "draft")),
    )


ENGINE = EngineConfig(device="cpu", dtype="float32", context_tokens=128, kv_cache_mb=8)


def test_a_pair_of_other_families_answers_as_its_target_would(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    pair, told = save_pair(tmp_path), list[Progress]()
    draft = DraftConfig(preset="static")  # the models are of a size: by default it would not pay
    engine = load(pair, ENGINE, draft, tmp_path / "models", told.append, offline=True)
    assert (told[0].message, told[-1].done) == ("loading the target, target", 2)

    ids, stats = engine.tokenizer.encode("def add(a, b):\n    return"), Stats()
    steps = engine.generate(ids, Limits(12), lambda: False, stats=stats)
    answer = [token for step in steps for token in step.tokens]
    target = AutoModelForCausalLM.from_pretrained(tmp_path / "target")
    with torch.inference_mode():
        for _ in range(12):
            ids.append(int(target(torch.tensor([ids])).logits[0, -1].argmax()))
    assert answer == ids[-12:]
    assert stats.drafted_by["model"] > 0


def test_equal_vocabularies_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, read = save_pair(tmp_path), list[Path]()

    def counting(folder: Path) -> HFTokenizer:
        read.append(folder)
        return load_tokenizer(folder)

    monkeypatch.setattr(loading, "load_tokenizer", counting)
    static = DraftConfig(preset="static")
    load(pair, ENGINE, static, tmp_path / "models", lambda _: None, offline=True)
    assert read == [tmp_path / "target"]


def test_models_that_do_not_fit_are_refused_before_a_weight_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = save_pair(tmp_path)
    for weights in tmp_path.glob("*/*.safetensors"):
        with weights.open("r+b") as file:
            file.truncate(4 * 10**9)  # a sparse file: none of it is read
    monkeypatch.setattr(loading, "free_bytes", lambda _device: 9 * 10**9)
    static = DraftConfig(preset="static")
    with pytest.raises(
        DoesNotFit, match=r"needs 16\.0 GB \(target 8\.0 GB, draft 8\.0 GB\).*9\.0 GB"
    ):
        load(pair, ENGINE, static, tmp_path / "models", lambda _: None, offline=True)


def test_a_draft_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    pair = save_pair(tmp_path, draft_kind="plain")
    with pytest.raises(ModelMismatch, match="draft cannot draft for target"):
        load(pair, ENGINE, DraftConfig(), tmp_path / "models", lambda _: None, offline=True)


def test_loading_imports_no_compiler() -> None:
    """Over a second of every start; some modules of torch bring it."""
    heavy = "{'torch._dynamo', 'torch._inductor', 'transformers'}"
    code = f"import sys, umbrella_engine.load; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
