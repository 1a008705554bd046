"""Where the benchmarks' prompts come from."""

import gzip
import json
from pathlib import Path

import pytest

from umbrella_daemon.bench.code import Holes
from umbrella_daemon.bench.holes import from_folder, given
from umbrella_daemon.bench.mtbench import questions
from umbrella_daemon.bench.result import BenchError
from umbrella_daemon.bench.writing import WARM_UP

ITEMS = [
    {"task_id": f"T/{n}", "prompt": f"a{n} = ", "suffix": "\n", "canonical_solution": f"{n}\n"}
    for n in range(20)
]


def lines(path: Path, items: list[dict[str, object]] | list[dict[str, str]]) -> Path:
    data = "\n".join(map(json.dumps, items)).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["holes.jsonl", "holes.jsonl.gz"])
def test_a_file_gives_its_holes_evenly_spread(tmp_path: Path, name: str) -> None:
    found = given(lines(tmp_path / name, ITEMS), 5)
    assert [hole.source for hole in found] == ["T/0", "T/4", "T/8", "T/12", "T/16"]
    assert found[1].prefix == "a4 = "
    assert found[1].truth == "4\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ('{"prompt": "a"}', "each line is a JSON object with prompt, suffix, canonical_solution"),
        ("nonsense", "each line is a JSON object with prompt, suffix, canonical_solution"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "holes.jsonl"
    path.write_text(content)
    with pytest.raises(BenchError, match=told):
        given(path, 5)


def test_a_folder_is_cut_the_same_way_each_time_and_whole(code: Path) -> None:
    for skipped in (".venv", "node_modules"):
        (code / skipped).mkdir()
        (code / skipped / "b.py").write_text((code / "a.py").read_text())
    found = from_folder(code, 12, seed=3)
    assert found == from_folder(code, 12, seed=3) != from_folder(code, 12, seed=4)
    assert {hole.source for hole in found} == {"a.py"}
    assert {hole.kind for hole in found} == {"line-end", "mid-word", "statement", "block"}
    text = (code / "a.py").read_text()
    for hole in found:
        assert hole.truth
        assert text.startswith(hole.prefix + hole.truth)
        assert text.endswith(hole.suffix)


def test_holes_to_warm_up_with_come_on_top(tmp_path: Path) -> None:
    path = lines(tmp_path / "holes.jsonl", ITEMS)
    assert len(Holes(path, count=5).cut()) == 5 + WARM_UP


def test_too_few_holes_are_told(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"gives 2 holes, at least 3 are needed"):
        Holes(lines(tmp_path / "holes.jsonl", ITEMS[:2])).cut()
    with pytest.raises(BenchError, match=r"gives 0 holes"):
        Holes(repository=tmp_path).cut()


def test_without_a_file_or_folder_holes_are_of_the_standard_library() -> None:
    assert len(Holes(count=8).cut()) == 8 + WARM_UP


def test_questions_without_turns_are_passed_over(tmp_path: Path) -> None:
    asked: list[dict[str, object]] = [{"turns": ["a", "b"], "category": "x"}, {"turns": []}]
    (found,) = questions(lines(tmp_path / "questions.jsonl", asked), 10)
    assert found.turns == ("a", "b")
