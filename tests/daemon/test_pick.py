from pathlib import Path

import psutil
import pytest

from tests import bpe
from tests.engine.tiny import save_family
from umbrella_daemon.pairs import list_pairs, load_pair
from umbrella_daemon.resident import pick
from umbrella_daemon.resident.loading import load_engine
from umbrella_daemon.resident.pick import (
    Machine,
    choose,
    find_machine,
    missing_mb,
    pick_pair,
    what_fits,
)
from umbrella_daemon.settings import ModelSettings, Settings, SettingsError, load_settings
from umbrella_engine.config import EngineConfig
from umbrella_engine.errors import EngineError

PAIRS = list_pairs()
NOTHING_HERE = {"smollm2": 93} | {
    pair.name: pair.target.download_mb + pair.draft.download_mb for pair in PAIRS if pair.draft
}
CPU = Machine("a CPU", False, 24_000)


def gpu(free_gb: float) -> Machine:
    return Machine("cuda:0 (GPU)", True, int(free_gb * 1000))


def picked(
    machine: Machine, *here: str, allowed_mb: int = 1000, engine: EngineConfig | None = None
) -> tuple[str, str]:
    missing = NOTHING_HERE | dict.fromkeys(here, 0)
    pair, reason = choose(PAIRS, machine, missing, allowed_mb, engine or EngineConfig())
    return pair.name, reason


def test_a_cpu_gets_the_embedded_default_whatever_is_here() -> None:
    assert picked(CPU) == ("smollm2", "picked for a CPU with 24 GB free")
    assert picked(CPU, "qwen2.5-coder-1.5b")[0] == "smollm2"


def test_nothing_large_is_fetched_unasked_but_named_with_size_and_command() -> None:
    assert picked(gpu(80)) == (
        "smollm2",
        "picked for cuda:0 (GPU) with 80 GB free; qwen2.5-coder-32b fits too and is better: "
        "umbrella models get qwen2.5-coder-32b (66.5 GB)",
    )


@pytest.mark.parametrize(
    ("free_gb", "best"),
    [(4, "smollm2"), (8, "1.5b"), (22, "7b"), (39, "14b"), (79, "32b")],
)
def test_the_largest_that_fits_is_taken_once_all_are_here(free_gb: float, best: str) -> None:
    name, reason = picked(gpu(free_gb), *NOTHING_HERE)
    assert name.endswith(best)
    assert "models get" not in reason


def test_the_best_of_what_is_here_is_taken_and_a_better_one_named() -> None:
    name, reason = picked(gpu(39), "qwen2.5-coder-1.5b")
    assert name == "qwen2.5-coder-1.5b"
    assert "umbrella models get qwen2.5-coder-14b (30.6 GB)" in reason


def test_the_users_allowance_decides_what_is_fetched() -> None:
    assert picked(gpu(8), allowed_mb=5000)[0] == "qwen2.5-coder-1.5b"
    assert picked(gpu(8), allowed_mb=0)[0] == "smollm2"


def test_a_larger_cache_needs_its_room() -> None:
    large = EngineConfig(kv_cache_mb=8000)
    assert picked(gpu(20), *NOTHING_HERE)[0] == "qwen2.5-coder-7b"
    assert picked(gpu(20), *NOTHING_HERE, engine=large)[0] == "qwen2.5-coder-1.5b"


@pytest.mark.parametrize(
    ("free_gb", "said"),
    [
        (40.0, 'qwen2.5-coder-14b fits (33.0 GB): set pair = "qwen2.5-coder-14b"'),
        (5.0, 'smollm2 fits (2.0 GB): set pair = "smollm2"'),
        (1.0, "No known pair fits; close what else takes memory there"),
    ],
)
def test_what_would_fit_is_named(free_gb: float, said: str) -> None:
    assert what_fits(PAIRS, int(free_gb * 1e9), EngineConfig()) == said


def test_a_full_gpu_still_gets_something() -> None:
    assert picked(gpu(0.5), *NOTHING_HERE)[0] == "smollm2"


def test_a_named_pair_is_taken_as_it_is() -> None:
    pair, reason = pick_pair(Settings(pair="qwen2.5-coder-32b"))
    assert (pair, reason) == (load_pair("qwen2.5-coder-32b"), "set in the settings")
    with pytest.raises(SettingsError, match="is not known"):
        pick_pair(Settings(pair="nonsense"))


def test_this_machine_without_a_gpu(tmp_path: Path) -> None:
    settings = Settings(
        engine=EngineConfig(device="cpu"), models=ModelSettings(directory=str(tmp_path))
    )
    pair, reason = pick_pair(settings)
    assert pair.name == "smollm2"
    assert reason.startswith("picked for a CPU with ")


def test_offline_only_what_is_here_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick, "find_machine", lambda _: gpu(8))
    for offline, name in ((False, "qwen2.5-coder-1.5b"), (True, "smollm2")):
        models = ModelSettings(directory=str(tmp_path), offline=offline, auto_download_mb=10_000)
        assert pick_pair(Settings(models=models))[0].name == name


def test_the_machine_is_looked_at() -> None:
    machine = find_machine(EngineConfig(device="cpu"))
    assert not machine.gpu
    assert 0 < machine.free_mb < psutil.virtual_memory().total / 1e6
    with pytest.raises(EngineError, match="cuda:99"):
        find_machine(EngineConfig(device="cuda:99"))


def test_what_is_missing_is_counted_by_model(tmp_path: Path) -> None:
    own = tmp_path / "pair.toml"
    (tmp_path / "m").mkdir()
    text = '[target]\npath = "m"\ndownload_mb = 7\n[draft]\npath = "gone"\ndownload_mb = 5\n'
    own.write_text(text)
    assert missing_mb(load_pair(str(own)), tmp_path) == 5


def test_a_model_that_is_too_large_names_a_pair_that_fits(tmp_path: Path) -> None:
    bpe.write(tmp_path, "fim")
    save_family("llama", tmp_path, vocab_size=4096)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.truncate(4 * 10**12)  # a sparse file: none of it is read
    values = {"pair": str(tmp_path), "engine": {"device": "cpu", "dtype": "bfloat16"}}
    with pytest.raises(EngineError, match=r"needs 4000\.0 GB.* fits \([\d.]+ GB\): set pair = "):
        load_engine(load_settings(values), lambda _: None)
