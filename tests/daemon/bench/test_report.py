"""Tables of what was measured."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from umbrella_daemon.bench.report import add, into, markdown, stored, tables
from umbrella_daemon.bench.result import BenchError, Figure, Result, Subject, read, write
from umbrella_daemon.bench.stamp import Machine, Stamp
from umbrella_daemon.cli import main

GPU = Machine("AMD EPYC", 16, 128, "NVIDIA H100 80GB HBM3")
CPU = Machine("AMD EPYC", 2, 24)


def result(machine: Machine, rate: float, date: str = "2026-11-23", **more: Any) -> Result:
    row: dict[str, Figure] = {
        "name": "umbrella",
        "tokens_per_second": rate,
        "accepted_per_step": 2.5,
    }
    plain = row | {"name": "umbrella, no drafts", "tokens_per_second": rate / 2}
    made = Result(
        "code",
        Stamp(date, "abc1234", machine, {}, 0.1),
        Subject("q", "Qwen 1.5B", "Qwen 0.5B", "cuda:0", "bfloat16"),
        "umbrella bench code --pair q",
        (row, plain),
        {"umbrella": {"key_ms": [1.0]}},
    )
    return replace(made, **more)


def test_a_row_is_one_machine_and_the_newest_counts(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for number, one in enumerate(
        (result(GPU, 300.0), result(GPU, 400.0, "2026-11-24"), result(CPU, 20.0))
    ):
        write(one, tmp_path / f"{number}.json")
        add(tmp_path / f"{number}.json", kept)
    found = stored([kept])
    assert [(one.stamp.machine, one.rows[0]["tokens_per_second"]) for one in found] == [
        (CPU, 20.0),
        (GPU, 400.0),
    ]
    assert all(read(path).series == {} for path in kept.glob("*.json"))
    text = markdown(found)
    row = next(line for line in text.splitlines() if "H100" in line)
    assert "| Qwen 1.5B | Qwen 0.5B | 400 | 2.5 | 200 |" in row
    assert "`umbrella bench code --pair q` (abc1234, 2026-11-24)" in row


def test_cards_that_nobody_measured_are_listed_without_a_figure() -> None:
    text = tables([result(GPU, 400.0)])["code"]
    for card in ("RTX 4090", "RTX 4080 SUPER", "RTX 4070 Ti", "L40"):
        assert f"| {card} | run `umbrella bench code --out FILE`" in text
    measured = tables([result(replace(GPU, gpu="NVIDIA GeForce RTX 4090"), 1.0)])["code"]
    assert "| RTX 4090 |" not in measured


def test_both_ways_of_a_conversation_have_a_row() -> None:
    rows: tuple[dict[str, Figure], ...] = tuple(
        {"name": name, "tokens_per_second": 10.0, "accepted_per_step": 1.0}
        for name in ("umbrella", "umbrella, no drafts", "umbrella, T = 0.7")
    )
    text = tables([result(GPU, 1.0, bench="mtbench", rows=rows)])["mtbench"]
    assert sum("H100" in line for line in text.splitlines()) == 2
    assert "10 (T = 0.7)" in text


def test_everybody_of_a_comparison_has_a_row() -> None:
    rows: tuple[dict[str, Figure], ...] = (
        {"name": "umbrella", "tokens_per_second": 10.0, "ours_over_this": 1.0},
        {"name": "transformers, generate", "tokens_per_second": 20.0, "ours_over_this": 0.5},
    )
    text = markdown([result(CPU, 1.0, bench="peers", rows=rows)])
    assert "| transformers, generate | 20 | 0.5 | - | - |" in text


def test_tables_stand_between_their_marks() -> None:
    text = "a\n<!-- bench code -->\nold\n<!-- end of bench code -->\nb\n"
    once = into(text, "code", "new")
    assert once == "a\n<!-- bench code -->\nnew\n<!-- end of bench code -->\nb\n"
    assert into(once, "code", "new") == once
    with pytest.raises(BenchError, match="there is no <!-- bench mtbench -->"):
        into(text, "mtbench", "new")


def test_a_row_is_added_by_one_command(tmp_path: Path) -> None:
    write(result(GPU, 123.0), tmp_path / "one.json")
    page = tmp_path / "README.md"
    page.write_text(
        "<!-- bench code -->\n<!-- end of bench code -->\n"
        "<!-- bench mtbench -->\n<!-- end of bench mtbench -->\n"
    )
    options = ("bench", "report", "--results", str(tmp_path / "kept"))
    outcome = CliRunner().invoke(main, [*options, "--add", str(tmp_path / "one.json")])
    assert outcome.exit_code == 0, outcome.output
    assert "| 123 |" in outcome.stdout
    outcome = CliRunner().invoke(main, [*options, "--into", str(page)])
    assert outcome.exit_code == 0, outcome.output
    assert "| 123 |" in page.read_text()
