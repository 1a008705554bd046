"""`umbrella bench device` with a tiny real pair, and on a GPU where there is one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from tests.daemon.bench.conftest import FAST
from tests.engine.cuda.test_fused import random_decoder
from umbrella_daemon.bench.launches import ON_DEVICE, OPERATION, launch_costs
from umbrella_daemon.bench.memory_rates import COPY, READ, TRANSFERS, streaming, transfers
from umbrella_daemon.bench.report import add, markdown, stored
from umbrella_daemon.bench.result import read
from umbrella_daemon.cli import main
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.tune.timing import ROWS, measure_on_device

QUICK = ("--length", "64", "--seconds", "1", "--megabytes", "16")


def test_the_machine_and_the_steps_of_a_pair_on_one_page(pair: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "device.json", tmp_path / "device.png"
    outcome = CliRunner().invoke(
        main,
        [*FAST, "-s", "engine.device=cpu", "bench", "device", "--pair", str(pair), *QUICK,
         "--out", str(out), "--plot", str(plot)],
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    printed = json.loads(outcome.stdout.splitlines()[-1])
    result = read(out)
    assert [row["name"] for row in printed["rows"]] == [row["name"] for row in result.rows]
    best = max(float(result.row(name)["gb_per_s"] or 0) for name in (READ, COPY))
    assert float(result.row(OPERATION)["us"] or 0) > 0
    for name in (*TRANSFERS, *ON_DEVICE):
        assert "a CPU" in str(result.row(name)["reason"]), name
    weights = load_file(pair.parent / "target" / "model.safetensors")
    size = sum(tensor.nbytes for tensor in weights.values())
    size -= weights["model.embed_tokens.weight"].nbytes * ("lm_head.weight" in weights)
    for role in ("target", "draft"):
        for rows in ROWS:
            row: dict[str, Any] = result.row(f"{role}, {rows} row" + "s" * (rows > 1))
            assert row["weight_mb"] == round(size / 1e6, 1)
            assert row["floor_ms"] == pytest.approx(size / best / 1e6, abs=1e-4)
            assert row["roofline"] == pytest.approx(row["floor_ms"] / row["ms"], rel=0.2, abs=1e-3)
            assert row["device_ms"] is None
        assert result.row(f"{role}, 1 row")["of_one_row"] == 1
    assert "of what the memory allows" in " ".join(outcome.stderr.split())
    assert plot.read_bytes().startswith(b"\x89PNG")
    add(out, tmp_path / "kept")
    assert f"| {result.stamp.machine.name} | target + draft |" in markdown(
        stored([tmp_path / "kept"])
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--length", "900"), "--length may be 64 to 512 with engine.context_tokens = 1024"),
        (("--megabytes", "99999999"), "name a smaller --megabytes"),
    ],
)
def test_what_does_not_fit_is_told(pair: Path, arguments: tuple[str, ...], told: str) -> None:
    outcome = CliRunner().invoke(
        main,
        [*FAST, "-s", "engine.device=cpu", "bench", "device", "--pair", str(pair), *QUICK,
         *arguments],
    )  # fmt: skip
    assert outcome.exit_code == 1
    assert told in " ".join(outcome.output.split())


@pytest.mark.gpu
def test_a_gpu_has_rates_launches_and_a_curve_of_its_own() -> None:
    from umbrella_engine.cuda.assemble import fuse

    gpu = torch.device("cuda")
    rates = streaming(gpu, 64) | transfers(gpu, 64)
    assert set(rates) == {READ, COPY, *TRANSFERS}
    assert min(rates.values()) > 0
    costs = launch_costs(gpu)
    assert set(costs) == {OPERATION, *ON_DEVICE}
    fused = fuse(random_decoder("tiny", torch.bfloat16, "Qwen2ForCausalLM", 333))
    curve = measure_on_device(LanguageModel(fused, chunk_tokens=16), list(range(1, 61)) * 2)
    assert curve is not None
    assert min(curve.ms) > 0
