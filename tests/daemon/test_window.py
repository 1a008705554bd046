from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpe import sources, trained
from umbrella_daemon.resident.window import before_and_typed, first_tokens
from umbrella_engine.scripted import ScriptedTokenizer

TOKENIZER = trained("fim")
SOURCE = "".join(sources())
BUDGET = 200
LINES = st.lists(st.text(max_size=120) | st.sampled_from(SOURCE.split("\n")), max_size=60)


def count(text: str) -> int:
    return len(TOKENIZER.encode(text))


@given(lines=LINES, budget=st.integers(0, 300))
def test_a_window_is_the_end_of_the_text_within_its_budget(lines: list[str], budget: int) -> None:
    prefix = "\n".join(lines)
    before, typed = before_and_typed(prefix, budget, TOKENIZER)
    assert prefix.endswith(before + typed)
    # one token more where a cut parts what was one token
    assert count(before) + count(typed) <= budget + 1


def test_all_of_a_short_text_is_read() -> None:
    prefix = "import os\n\n\ndef f():\n    ret"
    assert before_and_typed(prefix, BUDGET, TOKENIZER) == (prefix[:-7], "    ret")


def test_a_window_starts_at_a_line_and_is_at_least_half_full() -> None:
    # the typed line counts as one sixteenth more than it is, at most
    for end in range(20_000, 24_000, 41):
        before, typed = before_and_typed(SOURCE[:end], BUDGET, TOKENIZER)
        start = end - len(before) - len(typed)
        assert SOURCE[start - 1] == "\n"
        assert count(before + typed) > BUDGET * 0.4


def test_the_start_moves_rarely_and_far() -> None:
    starts = []
    for end in range(20_000, 26_000):
        before, typed = before_and_typed(SOURCE[:end], BUDGET, TOKENIZER)
        starts.append(end - len(before) - len(typed))
    moves = [b - a for a, b in pairwise(starts) if a != b]
    windows_typed = count(SOURCE[20_000:26_000]) / BUDGET
    assert len(moves) <= 5 * windows_typed
    assert sum(moves) / len(moves) > 100


def test_the_start_does_not_depend_on_where_the_text_was_cut() -> None:
    whole = before_and_typed(SOURCE[:30_000], BUDGET, TOKENIZER)
    for cut in (1, 13_777, 25_001):
        assert before_and_typed(SOURCE[cut:30_000], BUDGET, TOKENIZER) == whole


def test_edits_above_the_window_leave_it_alone() -> None:
    whole = before_and_typed(SOURCE[:30_000], BUDGET, TOKENIZER)
    assert before_and_typed("import more\n" + SOURCE[:30_000], BUDGET, TOKENIZER) == whole


@pytest.mark.parametrize("piece", ["x = y;", "🦜", "a", "\t", "é∂ "])
def test_one_long_line_has_a_window_that_stands_still(piece: str) -> None:
    line = "first\n" + piece * (100_000 // len(piece))
    befores = set()
    for length in range(90_000, 90_040):
        before, typed = before_and_typed(line[:length], BUDGET, TOKENIZER)
        assert line[:length].endswith(before + typed)
        assert 0 < count(before) + count(typed) <= BUDGET + 1
        befores.add(before)
    assert len(befores) <= 4


@given(text=st.text() | LINES.map("\n".join), budget=st.integers(0, 100))
def test_the_start_of_a_text_stays_within_its_budget(text: str, budget: int) -> None:
    ids = first_tokens(text, budget, TOKENIZER)
    assert len(ids) <= budget
    if count(text) <= budget and len(text) <= budget:
        assert list(ids) == TOKENIZER.encode(text)


def test_the_start_of_a_text_ends_with_a_line() -> None:
    ids = first_tokens(SOURCE, 50, TOKENIZER)
    text = b"".join(map(TOKENIZER.token_bytes, ids)).decode()
    assert SOURCE.startswith(text)
    assert text.endswith("\n")
    assert 25 < len(ids) <= 50


def test_the_start_of_one_long_line_is_cut_between_characters() -> None:
    ids = first_tokens("🦜" * 100, 50, ScriptedTokenizer())
    assert bytes(ids).decode() == "🦜" * 12
