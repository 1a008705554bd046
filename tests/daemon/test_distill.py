"""`umbrella distill`: from a folder of code to an adapter and a draft that a daemon can load."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from tests import bpe
from tests.daemons import Home
from tests.engine.tiny import save_family
from umbrella_daemon.cli import main
from umbrella_daemon.pairs import load_pair
from umbrella_engine.config import DraftConfig, EngineConfig
from umbrella_engine.distill.fim import SPELLINGS
from umbrella_engine.interface import Limits
from umbrella_engine.load import load
from umbrella_engine.stats import Stats

SPARE_ROWS = 5  # of the embedding, that the tokenizer has no ids for
QUICK = ("--rows", "40", "--row-tokens", "128", "--steps", "3", "--rows-per-step", "8")
ENGINE = EngineConfig(device="cpu", dtype="float32", context_tokens=256, kv_cache_mb=16)


@pytest.fixture
def target(home: Home) -> Path:
    folder = home.path / "target"
    folder.mkdir()
    size = bpe.write(folder, "plain").vocab_size
    save_family("llama-tied-mha", folder, vocab_size=size + SPARE_ROWS)
    return folder


@pytest.fixture
def code(home: Home) -> Path:
    folder = home.path / "code"
    for number, text in enumerate(bpe.sources()[:12]):
        repository = folder / f"repository{number}"
        repository.mkdir(parents=True)
        (repository / "LICENSE").write_text("Permission is hereby granted, free of charge, …")
        (repository / f"module{number}.py").write_text(text)
    return folder


def distill(*arguments: object) -> Result:
    options = ("-s", "engine.device=cpu", "distill", *map(str, arguments))
    return CliRunner().invoke(main, options, catch_exceptions=False)


def answer(pair: Path, draft: DraftConfig, models: Path) -> tuple[list[int], Stats]:
    engine = load(load_pair(str(pair)), ENGINE, draft, models, lambda _: None, offline=True)
    fim = engine.tokenizer.fim
    assert fim is not None
    text = engine.tokenizer.encode("def add(a, b):\n    return")
    after = engine.tokenizer.encode("\n\n\nprint(add(1, 2))\n")
    stats, ids = Stats(), [fim.prefix, *text, fim.suffix, *after, fim.middle]
    steps = engine.generate(ids, Limits(16), lambda: False, stats=stats)
    return [token for step in steps for token in step.tokens], stats


def test_an_adapter_and_a_draft_are_trained_and_make_a_pair(
    target: Path, code: Path, home: Home
) -> None:
    adapter, draft, pair = (home.path / name for name in ("adapter", "draft", "pair.toml"))
    common = ("--corpus", code, "--permissive", *QUICK)
    result = distill("fim", "--target", target, "--out", adapter, "--rank", "4", *common)
    assert result.exit_code == 0, result.output
    assert "answer" in result.output
    card = (adapter / "MODEL_CARD.md").read_text()
    assert "| repository3 | MIT | 1 |" in card
    assert "3 steps" in card

    pair.write_text(f'[target]\npath = "{target.name}"\nadapter = "{adapter.name}"\n')
    result = distill("draft", "--target", pair, "--out", draft, "--output-vocab", "500", *common)
    assert result.exit_code == 0, result.output
    assert "top-4" in result.output
    plain, _ = answer(pair, DraftConfig(enabled=False), home.path / "models")
    pair.write_text(pair.read_text() + f'[draft]\npath = "{draft.name}"\n')
    drafted, stats = answer(pair, DraftConfig(preset="static"), home.path / "models")
    assert drafted == plain
    assert stats.drafted_by["model"] > 0


def test_merged_weights_are_those_that_were_trained(target: Path, code: Path, home: Home) -> None:
    from transformers import AutoModelForCausalLM

    from umbrella_engine.adapter import merge
    from umbrella_engine.distill.low_rank import attach, in_force
    from umbrella_engine.distill.results import save_adapter

    model = AutoModelForCausalLM.from_pretrained(target)
    first = model.config.vocab_size - SPARE_ROWS
    sentinels = {spelling: first + place for place, spelling in enumerate(SPELLINGS)}
    torch.manual_seed(1)
    attach(model, 2, 4.0, torch.tensor(sorted(sentinels.values())))
    for parameter in model.parameters():
        if parameter.requires_grad:
            with torch.no_grad():
                parameter.copy_((torch.randn_like(parameter) * 0.3).bfloat16())
    save_adapter(home.path / "adapter", model, sentinels, 2, 4.0)
    out = home.path / "merged"
    out.mkdir()
    merge(target, home.path / "adapter", out, lambda _: None)
    ids = torch.tensor([[sentinels[SPELLINGS[0]], 5, 6, sentinels[SPELLINGS[2]], 7]])
    with in_force(), torch.no_grad():
        trained = model(ids).logits
        merged = AutoModelForCausalLM.from_pretrained(out)(ids).logits
    assert torch.allclose(trained[..., :first], merged[..., :first], atol=1e-4)


def test_an_interrupted_training_goes_on_where_it_ended(
    target: Path, code: Path, home: Home
) -> None:
    rows = home.path / "rows"
    made = distill("rows", "--target", target, "--corpus", code, "--out", rows, *QUICK[:4])
    assert made.exit_code == 0, made.output
    whole, parts = home.path / "whole", home.path / "parts"
    reading = ("fim", "--target", target, "--rows-from", rows)
    common = (*reading, "--rows-per-step", "8", "--rank", "2", "--out")
    assert distill(*common, whole, "--steps", "4").exit_code == 0
    assert distill(*common, parts, "--steps", "2").exit_code == 0
    assert json.loads((parts / "training" / "training.json").read_text())["step"] == 2
    assert distill(*common, parts, "--steps", "4").exit_code == 0
    runs = [json.loads((one / "training" / "training.json").read_text()) for one in (whole, parts)]
    assert [run["step"] for run in runs] == [4, 4]
    assert runs[0]["tokens"] == runs[1]["tokens"]


def test_a_target_that_knows_fim_is_refused(home: Home, code: Path) -> None:
    folder = home.path / "fim"
    folder.mkdir()
    size = bpe.write(folder, "fim").vocab_size
    save_family("llama", folder, vocab_size=size)
    result = distill("fim", "--target", folder, "--corpus", code, "--out", home.path / "a", *QUICK)
    assert result.exit_code == 1
    assert "has fill-in-the-middle tokens already" in result.output


def test_without_code_to_learn_from_the_command_says_so(target: Path, home: Home) -> None:
    empty = home.path / "empty"
    empty.mkdir()
    out = home.path / "out"
    result = distill("fim", "--target", target, "--corpus", empty, "--out", out, *QUICK)
    assert result.exit_code == 1
    assert "nothing to learn from" in result.output
    result = distill("fim", "--target", target, "--out", out)
    assert result.exit_code == 2
    assert "--corpus DIR, or --rows-from DIR" in result.output
