"""Measuring a tiny pair: what is counted, what is stored, and that it is taken up at load."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests import bpe
from tests.engine.cuda.plain_stepper import PlainStepper
from tests.engine.tiny import save_family
from umbrella_engine.config import DraftConfig, EngineConfig, ModelSource, PairConfig
from umbrella_engine.cuda.captured import Captured
from umbrella_engine.cuda.shapes import PLAIN, shapes_of
from umbrella_engine.draft import Drafter, presets
from umbrella_engine.drafting import make_parts
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.errors import EngineError
from umbrella_engine.interface import Limits, Progress
from umbrella_engine.load import Models, load, load_models, subject_of
from umbrella_engine.shape.choice import Preset, fastest
from umbrella_engine.shape.tuning import Tuning, read, write
from umbrella_engine.stats import Stats
from umbrella_engine.tune import PRESETS, WITH_DRAFT, Tuner
from umbrella_engine.tune.acceptance import Guesses
from umbrella_engine.tune.corpus import FILE_BYTES, REPEATED_TOKENS, default_folder, holes
from umbrella_engine.tune.replay import Trial
from umbrella_engine.tune.timing import ROWS, measure

ENGINE = EngineConfig(device="cpu", dtype="float32", context_tokens=1024, kv_cache_mb=32)
DRAFT = DraftConfig(model_depth=4, max_nodes=16)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> PairConfig:
    """Two random models of one vocabulary, the draft with half the layers."""
    folder = tmp_path_factory.mktemp("pair")
    for role, layers in (("target", 2), ("draft", 1)):
        (folder / role).mkdir()
        tokenizer = bpe.write(folder / role, "fim")
        save_family(
            "qwen2",
            folder / role,
            vocab_size=tokenizer.vocab_size,
            num_hidden_layers=layers,
            max_position_embeddings=1024,
        )
    return PairConfig(
        name="tiny pair",
        target=ModelSource(path=str(folder / "target")),
        draft=ModelSource(path=str(folder / "draft")),
    )


@pytest.fixture(scope="module")
def models(pair: PairConfig, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return load_models(pair, ENGINE, DRAFT, tmp_path_factory.mktemp("models"), lambda _: None)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A project of four files, and what is no source of it."""
    rng = random.Random(3)
    folder = tmp_path / "project"
    for name in ("a.py", "b.rs", "deep/c.ts", "d.go", "tests/test_a.py", ".venv/x.py", "key.pem"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (f"    value_{rng.randint(0, 99)} = {rng.random()}\n" for _ in range(400))
        path.write_text(f"# {name}\n" + "".join(lines))
    (folder / "small.py").write_text("pass\n")
    return folder


@pytest.fixture(scope="module")
def tuning(
    pair: PairConfig, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tuning, list[Progress]]:
    folder, told = tmp_path_factory.mktemp("code"), list[Progress]()
    for number in range(4):
        text = "".join(f"total_{number} += item_{line % 7}\n" for line in range(500))
        (folder / f"{number}.py").write_text(text)
    tuner = Tuner(models, DRAFT, 1.0, told.append)
    return tuner.run(subject_of(pair, ENGINE), folder), told


def test_holes_come_from_source_files_alone_and_are_always_the_same(
    code: Path, models: Models
) -> None:
    found = list(holes(code, models.tokenizer))
    assert len(found) == 4
    assert found == list(holes(code, models.tokenizer))
    fim = models.tokenizer.fim
    assert fim is not None
    for ids in found:
        assert ids[0] == fim.prefix
        assert ids[-1] == fim.middle
        assert ids.count(fim.suffix) == 1


def test_every_third_hole_begins_what_stands_above(code: Path, models: Models) -> None:
    fim = models.tokenizer.fim
    assert fim is not None
    repeating = []
    for ids in holes(code, models.tokenizer):
        before = ids[1 : ids.index(fim.suffix)]
        end, earlier = before[-REPEATED_TOKENS:], before[:-REPEATED_TOKENS]
        places = range(len(earlier) - REPEATED_TOKENS + 1)
        repeating.append(any(earlier[i : i + REPEATED_TOKENS] == end for i in places))
    assert repeating == [False, False, True, False]


def test_a_folder_without_code_is_refused(tmp_path: Path, models: Models) -> None:
    with pytest.raises(EngineError, match=r"holds no source file of 4 kB .* name another folder"):
        next(holes(tmp_path, models.tokenizer))


def test_the_standard_library_has_enough() -> None:
    files = [p for p in default_folder().glob("*.py") if p.stat().st_size in FILE_BYTES]
    assert len(files) > 60


def test_a_draft_equal_to_its_target_is_always_right(code: Path, models: Models) -> None:
    guesses = Guesses()
    limits = Limits(8)
    engine = SpeculativeEngine(
        models.info,
        models.tokenizer,
        models.target,
        presets.make("none", make_parts(DRAFT, None, models.healing, models.tokenizer)),
        models.healing,
    )
    for prompt in holes(code, models.tokenizer):
        steps = engine.generate(prompt, limits, lambda: False)
        guesses.read(models.target, prompt, [token for step in steps for token in step.tokens])
    assert guesses.positions == 32
    assert guesses.rates == (1.0, *[0.0] * 7)
    assert len(guesses.said) == 32 * 8
    assert sum(guesses.right) == 32


def test_passes_are_timed(models: Models) -> None:
    told: list[float] = []
    curve = measure(models.target, list(range(40)), 0.01, told.append)
    assert curve.rows == ROWS
    assert min(curve.ms) > 0
    assert told[-1] == 1.0


@pytest.mark.parametrize("preset", WITH_DRAFT)
def test_a_replay_counts_what_the_engine_does(preset: Preset, code: Path, models: Models) -> None:
    def drafter() -> Drafter:
        parts = make_parts(DRAFT, models.draft, models.healing, models.tokenizer)
        return presets.make(preset, parts)

    engine = SpeculativeEngine(
        models.info, models.tokenizer, models.target, drafter(), models.healing
    )
    trial, stats = Trial(preset, drafter()), Stats()
    for prompt in holes(code, models.tokenizer):
        steps = engine.generate(prompt, Limits(24), lambda: False, stats=(one := Stats()))
        text = [token for step in steps for token in step.tokens]
        trial.replay(prompt, text, models.draft)
        stats.target_steps += one.target_steps
        stats.drafted_tokens += one.drafted_tokens
        stats.generated_tokens += one.generated_tokens
    assert trial.tokens == stats.generated_tokens
    assert len(trial.steps) == stats.target_steps
    assert sum(nodes for nodes, _ in trial.steps) == stats.drafted_tokens


def test_a_tuning_compares_all_presets(tuning: tuple[Tuning, list[Progress]]) -> None:
    found, told = tuning
    assert [plan.preset for plan in found.plans] == ["none", *WITH_DRAFT]
    assert found.plans[0].tokens == 1
    assert found.chosen == fastest(found.plans)
    assert len(found.acceptance) == 8
    assert found.costs.draft is not None
    assert len(found.tree) <= DRAFT.max_nodes
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert {one.message for one in told} == {
        "the target writes into holes",
        "forward passes are timed",
        "every preset drafts the same texts",
    }


def test_presets_run_where_a_device_takes_the_steps(
    code: Path, pair: PairConfig, models: Models
) -> None:
    assert models.draft is not None
    stepper = PlainStepper(models.target.decoder, models.draft.decoder)
    shapes = {PLAIN, *(shape for preset in PRESETS for shape in shapes_of(preset, DRAFT))}
    costs = {shape: 1.0 + shape.depth for shape in shapes}
    captured = Captured(stepper, models.draft, costs, DRAFT)
    found = Tuner(models, DRAFT, 0.5, lambda _: None, captured).run(subject_of(pair, ENGINE), code)
    assert [plan.preset for plan in found.plans] == ["none", *WITH_DRAFT]
    assert found.plans[0].tokens == 1
    assert found.chosen == fastest(found.plans)
    assert all(plan.ms > 0 for plan in found.plans)


def test_without_a_draft_model_none_and_suffix_are_compared(
    code: Path, pair: PairConfig, models: Models
) -> None:
    alone = replace(models, draft=None)
    found = Tuner(alone, DRAFT, 0.5, lambda _: None).run(subject_of(pair, ENGINE), code)
    assert [plan.preset for plan in found.plans] == ["none", "suffix"]
    assert found.acceptance == ()
    assert found.costs.draft is None


def test_a_tuning_is_found_again_by_pair_device_and_dtype(
    tuning: tuple[Tuning, list[Progress]], tmp_path: Path
) -> None:
    found, _ = tuning
    path = write(found, tmp_path / "new")
    assert path.parent == tmp_path / "new"
    assert read(found.subject, tmp_path / "new") == found
    for changes in ({"draft": "other"}, {"dtype": "bfloat16"}, {"pair": "x"}, {"device": "y"}):
        fields = {key: getattr(found.subject, key) for key in found.subject.__struct_fields__}
        assert read(type(found.subject)(**fields | changes), tmp_path / "new") is None


def test_a_damaged_tuning_is_told_of_and_left_alone(
    tuning: tuple[Tuning, list[Progress]], pair: PairConfig, tmp_path: Path
) -> None:
    path = write(tuning[0], tmp_path)
    path.write_text(path.read_text()[:-40])
    with pytest.raises(EngineError, match="`umbrella tune` makes it anew"):
        read(tuning[0].subject, tmp_path)
    told: list[Progress] = []
    load(pair, ENGINE, DRAFT, tmp_path / "models", told.append, tunings=tmp_path)
    assert "cannot be used" in told[0].message
    assert path.exists()


def test_a_tuning_decides_what_is_loaded(
    tuning: tuple[Tuning, list[Progress]], pair: PairConfig, tmp_path: Path
) -> None:
    found, _ = tuning
    for preset, draft in (("suffix", ""), ("chain", "draft")):
        chosen = next(plan for plan in found.plans if plan.preset == preset)
        fields = {key: getattr(found, key) for key in found.__struct_fields__}
        write(Tuning(**fields | {"chosen": chosen}), tmp_path)
        engine = load(pair, ENGINE, DRAFT, tmp_path, lambda _: None, tunings=tmp_path)
        assert engine.info.draft == draft
