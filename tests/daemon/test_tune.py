"""`umbrella tune`: what it stores, what it shows, and that a daemon says what is in force."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.daemons import Home
from umbrella_daemon import paths
from umbrella_daemon.cli import main
from umbrella_daemon.doctor.finding import ok
from umbrella_daemon.doctor.model import drafting
from umbrella_daemon.resident.loading import load_engine
from umbrella_daemon.settings import load_settings


@pytest.fixture
def code(home: Home) -> Path:
    folder = home.path / "code"
    folder.mkdir()
    (folder / "a.py").write_text("".join(f"value_{n} = {n}\n" for n in range(600)))
    return folder


def tune(pair: Path, code: Path, *arguments: str) -> Result:
    speed = ("-s", "engine.dtype=float32", "-s", "engine.kv_cache_mb=32")
    known = ("--pair", str(pair), "--corpus", str(code), "--seconds", "1")
    return CliRunner().invoke(main, [*speed, "tune", *known, *arguments])


def test_what_was_measured_is_shown_stored_and_in_force(pair: Path, code: Path) -> None:
    result = tune(pair, code)
    assert result.exit_code == 0, result.output
    for name in ("none", "chain", "static", "dynamic", "suffix", "merged", "adaptive"):
        assert f" {name} " in result.output
    assert "the draft's guess of rank" in result.output
    (stored,) = paths.tunings_directory().glob("*.json")
    found = json.loads(stored.read_bytes())
    assert f"→ {found['chosen']['preset']}" in result.output

    values: dict[str, object] = {"pair": str(pair), "engine": {"dtype": "float32"}}
    settings = load_settings(values, environ={})
    loaded = load_engine(settings, lambda _: None)
    told = f"tuned {found['date'][:10]}: {found['chosen']['preset']}"
    assert loaded.pair.endswith(f"; {told}")
    assert asyncio.run(drafting(settings)) == ok(told)

    values["draft"] = {"preset": "chain"}
    settings = load_settings(values, environ={})
    assert "tuned" not in load_engine(settings, lambda _: None).pair
    assert asyncio.run(drafting(settings)) == ok(f"{told}; the settings want chain")

    stored.write_text("{")
    finding = asyncio.run(drafting(settings))
    assert finding.level == "warn"
    assert "`umbrella tune` makes it anew" in finding.found


def test_what_was_not_measured_is_said(pair: Path) -> None:
    finding = asyncio.run(drafting(load_settings({"pair": str(pair)}, environ={})))
    assert finding == ok("by assumption; `umbrella tune` measures it")


def test_json_and_a_picture(pair: Path, code: Path, tmp_path: Path) -> None:
    result = tune(pair, code, "--json", "--plot", str(tmp_path / "tuning.svg"))
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["subject"]["pair"] == "tiny"
    picture = (tmp_path / "tuning.svg").read_text()
    assert picture.startswith("<?xml")
    assert "<svg" in picture


def test_a_target_alone(pair: Path, code: Path, tmp_path: Path) -> None:
    result = tune(pair.with_name("target"), code, "--plot", str(tmp_path / "tuning.png"))
    assert result.exit_code == 0, result.output
    assert " suffix " in result.output
    assert " chain " not in result.output
    assert (tmp_path / "tuning.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written(pair: Path, code: Path, tmp_path: Path) -> None:
    result = tune(pair, code, "--plot", str(tmp_path / "missing" / "a.png"))
    assert result.exit_code == 1
    assert "cannot be written" in result.output
    assert len(list(paths.tunings_directory().glob("*.json"))) == 1


def test_a_folder_without_code_changes_nothing(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = tune(pair, tmp_path / "empty")
    assert result.exit_code == 1
    assert "holds no source file" in result.output
    assert not paths.tunings_directory().exists()
