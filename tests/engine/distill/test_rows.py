"""Rows of token ids: what stands in them, and that their prompts are the daemon's own."""

import random
from pathlib import Path

import msgspec
import pytest

from tests import bpe
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine.distill import data
from umbrella_engine.distill.corpus import Document
from umbrella_engine.distill.holes import KINDS, Hole, cut
from umbrella_engine.distill.rows import Layouter, Row, make_rows
from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import FimTokens, Tokenizer

TOKENIZER = bpe.trained("fim")
FIM = TOKENIZER.fim or FimTokens(0, 0, 0)
END = min(TOKENIZER.stop_ids)
LAYOUTER = Layouter(TOKENIZER, FIM, END, 4096)


def spelled(ids: list[int], tokenizer: Tokenizer = TOKENIZER) -> str:
    return b"".join(map(tokenizer.token_bytes, ids)).decode()


def documents() -> list[Document]:
    texts = [text for text in bpe.sources() if len(text) > 2000][:8]
    return [Document("r", f"{n}.py", "python", text) for n, text in enumerate(texts)]


def test_holes_of_every_kind_are_cut_where_they_say() -> None:
    rng, kinds = random.Random(3), set()
    for document in documents():
        for _ in range(60):
            hole = cut(document.text, document.language, rng)
            if hole is None:  # a row without words
                continue
            kinds.add(hole.kind)
            assert hole.start < hole.end or hole.kind == "line-end"
            whole = document.text[hole.start : hole.end]
            if hole.kind in ("line-end", "mid-word", "line"):
                assert "\n" not in whole
                assert document.text[hole.end] == "\n"
            if hole.kind in ("statement", "block"):
                assert document.text[hole.end] == "\n"
                assert whole.count("\n") <= 8
    assert kinds == set(KINDS)


@pytest.mark.parametrize("layout", ["psm", "anchored", "spm", "sp"])
def test_a_row_begins_as_the_daemon_asks(layout: str) -> None:
    values = {"prefix_tokens": 4096, "suffix_tokens": 4096, "layout": layout}
    settings = msgspec.convert(values | {"healing": "identifier"}, PromptSettings)
    rng, same, count = random.Random(5), 0, 0
    for document in documents():
        window = document.text[:3000]
        for _ in range(15):
            hole = cut(window, "python", rng)
            if hole is None:
                continue
            row = LAYOUTER._filled(window, hole, layout, random.Random(1))
            assert row is not None
            request = Complete(
                id=1,
                document="d",
                version=1,
                language="python",
                path="d",
                prefix=window[: hole.start],
                suffix=window[hole.end :],
            )
            prompt = build_prompt(request, TOKENIZER, settings, 9000)
            behind_first = layout in ("spm", "sp")
            follows = row.ids.index(FIM.prefix if behind_first else FIM.middle)
            after = slice(row.ids.index(FIM.suffix), follows)
            said = [id_ for n, id_ in enumerate(row.ids) if n not in range(*after.indices(9999))]
            assert spelled(said) == window[: hole.end] or row.ids[-1] != END
            # how much of the text behind is read differs on purpose
            ours, daemons = row.ids[: row.answer], prompt.ids
            first = FIM.prefix if behind_first else FIM.suffix
            side = slice(1, None) if behind_first else slice(None, 1)
            parts = [(ids[: ids.index(first)], ids[ids.index(first) :]) for ids in (ours, daemons)]
            same += parts[0][side] == parts[1][side]
            count += 1
    # text cut at the cursor may be split otherwise than text that goes on behind it
    assert same > 0.9 * count


def test_the_answer_ends_with_an_end_unless_it_was_too_long() -> None:
    text = "def f():\n" + "".join(f"    value_{n} = {n}\n" for n in range(200)) + "\nf()\n"
    short = LAYOUTER._filled(text, Hole("span", 100, 150), "psm", random.Random(1))
    long = LAYOUTER._filled(text, Hole("span", 100, 3000), "psm", random.Random(1))
    assert short is not None
    assert long is not None
    assert short.ids[-1] == END
    assert long.ids[-1] != END


def test_rows_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    bpe.write(tmp_path, "fim")
    made = [
        make_rows(
            documents(), tmp_path, FIM, length=256, most=30, seed=1, processes=processes,
            report=lambda _: None,
        )
        for processes in (1, 2)
    ]  # fmt: skip
    assert made[0] == made[1]
    assert len(made[0]) == 30
    assert all(len(row.ids) <= 256 for row in made[0])
    assert any(row.answer < len(row.ids) for row in made[0])


def test_rows_come_back_from_disk(tmp_path: Path) -> None:
    rows = data.pack([Row([1, 2, 3], 2), Row([4, 5], 2), Row([6, 7, 8, 9], 1)])
    about = data.About("t", {}, 1, 8, 3, 9, 0, {}, {}, [])
    data.save(tmp_path, rows, data.pack([]), about)
    train, heldout, found = data.load(tmp_path)
    assert found == about
    assert len(heldout) == 0
    batch = train.batch([2, 0])
    assert batch.ids.tolist() == [[6, 7, 8, 9], [1, 2, 3, 0]]
    real, answer = batch.next_tokens()
    assert real.tolist() == [[True, True, True], [True, True, False]]
    assert answer.tolist() == [[True, True, True], [False, True, False]]
    joined = data.join(train, train)
    assert joined.batch([3]).ids.tolist() == [[1, 2, 3]]
    with pytest.raises(WeightsError, match="umbrella distill rows"):
        data.load(tmp_path / "elsewhere")


def test_the_order_of_rows_goes_on_where_it_ended() -> None:
    rows = data.pack([Row([n], 1) for n in range(10)])
    steps = data.order(rows, 3, seed=7, skip=0)
    first = [next(steps) for _ in range(8)]
    again = data.order(rows, 3, seed=7, skip=5)
    assert [next(again) for _ in range(3)] == first[5:]
    assert len({row for step in first[:3] for row in step}) == 9
