"""Adapters and drafts once they are trained: whom they fit, and when an adapted model is made."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests import bpe
from tests.engine.tiny import save_family
from umbrella_engine.config import DraftConfig, EngineConfig, ModelSource, PairConfig
from umbrella_engine.distill.draft import DraftModel, draft_config
from umbrella_engine.distill.fim import SPELLINGS
from umbrella_engine.distill.low_rank import LowRank, TrainedRows, attach
from umbrella_engine.distill.results import save_adapter, save_draft
from umbrella_engine.distill.training import Judgement, Run, Schedule
from umbrella_engine.errors import ModelMismatch, UnsupportedModel, WeightsError
from umbrella_engine.load import load_models
from umbrella_engine.sources import fetch_model
from umbrella_engine.tokenizer import load_tokenizer

ENGINE = EngineConfig(device="cpu", dtype="float32", context_tokens=64, kv_cache_mb=8)


def save_target(folder: Path, **changes: int) -> Path:
    folder.mkdir()
    size = bpe.write(folder, "plain").vocab_size
    save_family("llama-tied-mha", folder, vocab_size=size + 4, **changes)
    return folder


def save_noise(target: Path, folder: Path, seed: int = 1) -> dict[str, int]:
    """Save an adapter of random changes; give its sentinels."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(target)
    first = load_tokenizer(target).vocab_size
    sentinels = {spelling: first + place for place, spelling in enumerate(SPELLINGS)}
    torch.manual_seed(seed)
    attach(model, 2, 2.0, torch.tensor(sorted(sentinels.values())))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LowRank):
                module.b.normal_()
            if isinstance(module, TrainedRows):
                module.values.normal_()
    save_adapter(folder, model, sentinels, 2, 2.0)
    return sentinels


def test_an_adapted_model_is_made_once_and_again_when_its_adapter_changed(tmp_path: Path) -> None:
    target, adapter = save_target(tmp_path / "target"), tmp_path / "adapter"
    sentinels = save_noise(target, adapter)
    source = ModelSource(path=str(target), adapter=str(adapter))
    told: list[str] = []

    def fetch() -> Path:
        told.clear()
        return fetch_model(source, tmp_path / "models", lambda p: told.append(p.phase))

    folder = fetch()
    fim = load_tokenizer(folder).fim
    assert fim is not None
    assert (fim.prefix, fim.suffix, fim.middle) == tuple(sentinels.values())
    assert told == ["converting"]
    name = "model.layers.0.mlp.up_proj.weight"
    before = load_file(folder / "model.safetensors")[name]
    assert not torch.equal(before, load_file(target / "model.safetensors")[name])
    assert fetch() == folder
    assert told == []
    save_noise(target, adapter, seed=2)
    assert fetch() == folder
    assert told == ["converting"]
    assert not torch.equal(before, load_file(folder / "model.safetensors")[name])


def test_an_adapter_of_another_model_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    target = save_target(tmp_path / "target")
    wide = save_target(tmp_path / "wide", hidden_size=48)
    deep = save_target(tmp_path / "deep", num_hidden_layers=3)
    for other in (wide, deep):
        adapter = tmp_path / f"adapter-{other.name}"
        save_noise(other, adapter)
        source = ModelSource(path=str(target), adapter=str(adapter))
        with pytest.raises(ModelMismatch, match="was made for another model"):
            fetch_model(source, tmp_path / "models", lambda _: None)
    assert not list((tmp_path / "models").rglob("*.safetensors"))
    source = ModelSource(path=str(target), adapter=str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match="holds no adapter"):
        fetch_model(source, tmp_path / "models", lambda _: None)


def save_random_draft(target: Path, folder: Path, width: int) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(target)
    config = draft_config(model, 1, width, 32)
    draft = DraftModel(config, model.config.hidden_size, torch.arange(0, 200, 2))
    save_draft(folder, draft, target, {})


@pytest.mark.parametrize("width", [32, 16])
def test_a_draft_computes_what_was_trained(tmp_path: Path, width: int) -> None:
    from transformers import AutoModelForCausalLM

    from umbrella_engine.tree import Tree

    target, folder = save_target(tmp_path / "target"), tmp_path / "draft"
    model = AutoModelForCausalLM.from_pretrained(target)
    torch.manual_seed(3)
    draft = DraftModel(draft_config(model, 2, width, 32), 32, torch.arange(0, 200, 2)).bfloat16()
    save_draft(folder, draft, target, {})
    sources = ModelSource(path=str(target)), ModelSource(path=str(folder))
    pair = PairConfig(name="tiny", target=sources[0], draft=sources[1])
    models = load_models(pair, ENGINE, DraftConfig(), tmp_path / "models", lambda _: None)
    assert models.draft is not None
    ids = [7, 11, 4, 9, 30]
    with models.draft.open(ids) as context:
        found = context.evaluate(ids, Tree())[-1]
    with torch.no_grad():
        table: Any = model.get_input_embeddings()
        states = draft.float()(table(torch.tensor([ids])))[0, -1]
        head = table.weight[draft.output_ids]
        wanted = draft.out_proj(states) @ head.T
    assert torch.allclose(found[draft.output_ids], wanted, atol=1e-3)
    others = torch.ones(len(found), dtype=torch.bool)
    others[draft.output_ids] = False
    assert bool((found[others] == -torch.inf).all())


def test_a_draft_of_another_target_is_refused_and_one_alone_too(tmp_path: Path) -> None:
    target = save_target(tmp_path / "target")
    wide = save_target(tmp_path / "wide", hidden_size=48)
    draft = tmp_path / "draft"
    save_random_draft(wide, draft, 16)
    pair = PairConfig(
        name="tiny", target=ModelSource(path=str(target)), draft=ModelSource(path=str(draft))
    )
    with pytest.raises(ModelMismatch, match="made for a target of width 48"):
        load_models(pair, ENGINE, DraftConfig(), tmp_path / "models", lambda _: None)
    alone = PairConfig(name="tiny", target=ModelSource(path=str(draft)))
    with pytest.raises(UnsupportedModel, match="name it as the draft"):
        load_models(alone, ENGINE, DraftConfig(), tmp_path / "models", lambda _: None)


def test_training_ends_when_nothing_gets_better() -> None:
    run = Run(Schedule(patience=2, steps=10))
    for step, score in enumerate((3.0, 2.0, 2.5, 1.9)):
        run.judgements.append(Judgement(step, score, {}))
    assert not run.stuck
    run.judgements += [Judgement(5, 2.0, {}), Judgement(6, 1.95, {})]
    assert run.stuck
    run.step = 5
    assert run.share == 0.5
