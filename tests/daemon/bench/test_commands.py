"""`umbrella bench code, mtbench, peers` with a tiny real pair."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Outcome

from tests import bpe
from tests.daemon.bench.conftest import FAST
from umbrella_daemon.bench.result import read
from umbrella_daemon.bench.transformers_peer import TransformersWriter, writers
from umbrella_daemon.bench.writing import Ask, WriterFailed
from umbrella_daemon.cli import main

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def bench(*arguments: str) -> Outcome:
    return CliRunner().invoke(main, [*FAST, "bench", *arguments])


def rows(outcome: Outcome) -> dict[str, dict[str, Any]]:
    assert outcome.exit_code == 0, outcome.output
    found = json.loads(outcome.stdout.splitlines()[-1])
    return {row["name"]: row for row in found["rows"]}


def test_code_is_measured_kept_and_drawn(pair: Path, code: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "code.json", tmp_path / "code.png"
    outcome = bench(
        "code", "--pair", str(pair), "--repository", str(code), "--limit", "3", "--tokens", "12",
        "--compare-plain", "--out", str(out), "--plot", str(plot),
    )  # fmt: skip
    found = rows(outcome)
    ours, plain = found["umbrella"], found["umbrella, no drafts"]
    assert ours["requests"] == plain["requests"] == ours["same_text"] == plain["same_text"] == 3
    assert ours["tokens"] == plain["tokens"]
    assert ours["steps"] < plain["steps"]
    assert plain["accepted_per_step"] == 0
    assert ours["ours_over_this"] == 1
    assert 0 <= ours["edit_similarity"] <= 1
    assert "umbrella, no drafts" in outcome.stderr
    kept = read(out)
    assert kept.subject.draft == "draft"
    assert [file.role for file in kept.stamp.files] == ["target", "draft"]
    assert kept.row("umbrella")["tokens"] == ours["tokens"]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_conversations_are_measured_in_two_turns(pair: Path, home: Any) -> None:
    bpe.write(home.path / "target", "fim", tokenizer_config={"chat_template": TEMPLATE})
    questions = home.path / "questions.jsonl"
    questions.write_text('{"turns": ["one", "two"]}\n' * 4)
    outcome = bench("mtbench", "--pair", str(pair), "--questions", str(questions), "--tokens", "8")
    found = rows(outcome)
    assert list(found) == ["umbrella", "umbrella, T = 0.7"]
    assert [row["requests"] for row in found.values()] == [4, 4]


def test_a_model_without_a_chat_template_is_told(pair: Path, home: Any) -> None:
    bpe.write(home.path / "target", "fim", tokenizer_config={})
    questions = home.path / "questions.jsonl"
    questions.write_text('{"turns": ["one", "two"]}\n')
    outcome = bench("mtbench", "--pair", str(pair), "--questions", str(questions))
    assert outcome.exit_code == 1
    assert "has no chat template" in outcome.output


def test_transformers_writes_the_same_text_in_all_its_ways(pair: Path, code: Path) -> None:
    outcome = bench(
        "peers", "--pair", str(pair), "--repository", str(code), "--limit", "2", "--tokens", "10"
    )
    found = rows(outcome)
    assert list(found) == [
        "umbrella", "umbrella, no drafts", "transformers, generate", "transformers, static cache",
        "transformers, prompt lookup", "transformers, assisted",
    ]  # fmt: skip
    for name, row in found.items():
        assert row["reason"] is None
        assert row["warm_up_s"] >= 0
        assert row["same_text"] == row["requests"] == 2, name
        assert row["tokens"] == found["umbrella"]["tokens"]
    assert found["transformers, generate"]["tokens_per_step"] == 1
    assert found["transformers, assisted"]["tokens_per_step"] > 1


def test_a_way_that_cannot_be_gone_is_a_row_with_a_reason(
    pair: Path, code: Path, home: Any
) -> None:
    alone = home.path / "alone.toml"
    alone.write_text('[target]\npath = "target"\n')
    outcome = bench(
        "peers", "--pair", str(alone), "--repository", str(code), "--limit", "1", "--tokens", "4",
        "--modes", "generate,assisted",
    )  # fmt: skip
    found = rows(outcome)
    absent = found["transformers, assisted"]
    assert absent["reason"] == "the pair has no draft model"
    assert absent["requests"] == 0
    assert absent["tokens_per_second"] is absent["ours_over_this"] is None
    assert found["umbrella"]["requests"] == found["transformers, generate"]["requests"] == 1
    told = " ".join(outcome.stderr.split())
    assert "transformers, assisted was left out: the pair has no draft model" in told


def test_what_goes_wrong_in_transformers_is_told_in_a_line(pair: Path) -> None:
    loaded = writers(
        pair.parent / "target",
        None,
        device="cpu",
        dtype="float32",
        stop_ids=[0],
        modes=["generate"],
    )
    (plain,) = loaded
    assert isinstance(plain, TransformersWriter)
    assert plain.write(Ask([1, 2, 3]), 2).steps >= 1
    broken = replace(plain, options={"cache_implementation": "of nobody"})
    with pytest.raises(WriterFailed, match=r"^ValueError: .*cache_implementation") as failed:
        broken.write(Ask([1, 2, 3]), 2)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("peers", "--modes", "fast"), "--modes knows no fast; it takes generate"),
        (("code", "--pair", "scripted"), "name a pair with weights"),
    ],
)
def test_what_cannot_be_measured_is_told(
    home: Any, code: Path, arguments: tuple[str, ...], told: str
) -> None:
    outcome = bench(*arguments, "--repository", str(code))
    assert outcome.exit_code == 1
    assert told in outcome.output
