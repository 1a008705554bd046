"""Control tokens and half characters never reach an editor, whatever stands in the buffer."""

import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpe import trained
from tests.daemons import complete
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.markers import before_marker
from umbrella_daemon.resident.postprocess import Shown, settle
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import PromptSettings, Settings
from umbrella_daemon.wire import Complete
from umbrella_engine.scripted import FIM, ScriptedEngine, ScriptedTokenizer

MARKERS = [
    "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|file_sep|>",
    "<|repo_name|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|file_separator|>",
    "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim-middle>", "<[fim-suffix]>", "<file_sep>",
    "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "▁<PRE>", "▁<MID>", "<|code_middle|>",  # noqa: RUF001
]  # fmt: skip
PIECES = st.sampled_from(
    [*MARKERS, *(m[: len(m) // 2] for m in MARKERS), "x = ", "foo(", ")", "\n", "    ", "é", "🌍",
     "<", "|", ">", "def f():", "<p>", "a < b", "x |> f", "\ufffd"]
)  # fmt: skip
TEXT = st.lists(PIECES, max_size=10).map("".join)
SPELLED = re.compile("|".join(map(re.escape, [*MARKERS, "\ufffd"])))


@given(prefix=TEXT, suffix=TEXT, answer=TEXT, cut=st.booleans())
def test_no_marker_is_shown(prefix: str, suffix: str, answer: str, cut: bool) -> None:
    request = Complete(1, "d", 1, "python", "", prefix, suffix)
    outcome = settle(request, answer, 8, cut=cut)
    if isinstance(outcome, Shown):
        assert not SPELLED.search(outcome.text)


@pytest.mark.parametrize("fim", [None, FIM])
@given(prefix=TEXT, suffix=TEXT, answer=TEXT, step=st.integers(1, 7), tokens=st.integers(1, 30))
def test_none_is_sent_whatever_the_engine_writes(
    fim: object, prefix: str, suffix: str, answer: str, step: int, tokens: int
) -> None:
    """One token is one byte here: a limit of tokens cuts characters in the middle."""
    engine = ScriptedEngine(
        lambda _: answer, step, tokenizer=ScriptedTokenizer(FIM if fim else None)
    )
    job = Job(1, complete(1, prefix, suffix=suffix, max_tokens=tokens), lambda _: None)
    completed = Completer(engine, Settings()).complete(job)
    assert not SPELLED.search(completed.text)
    for other in completed.alternatives:
        assert not SPELLED.search(other.text)


@pytest.mark.parametrize("kind", ["plain", "fim", "marked"])
@given(prefix=TEXT, suffix=TEXT)
def test_markers_in_a_buffer_are_encoded_as_text(kind: str, prefix: str, suffix: str) -> None:
    tokenizer = trained(kind)
    request = Complete(1, "d", 1, "python", "a.py", prefix, suffix)
    prompt = build_prompt(request, tokenizer, PromptSettings(), 2000)
    controls = [token for token in prompt.ids if not tokenizer.token_bytes(token)]
    empty = build_prompt(Complete(1, "d", 1, "python", "a.py", "", ""), tokenizer,
                         PromptSettings(), 2000)  # fmt: skip
    expected = [token for token in empty.ids if not tokenizer.token_bytes(token)]
    assert len(controls) <= max(1, len(expected))
    assert set(controls) <= {*expected}


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("kind", ["plain", "fim", "marked"])
def test_a_marker_alone_is_text_to_the_tokenizer(kind: str, marker: str) -> None:
    if kind == "marked":
        marker = marker.replace("▁", "_")  # it stands for a space there
    tokenizer = trained(kind)
    ids = tokenizer.encode(marker)
    assert not set(ids) & tokenizer.stop_ids
    assert b"".join(map(tokenizer.token_bytes, ids)).decode() == marker


@cache
def own_sources() -> list[tuple[Path, str]]:
    root = Path(__file__).parents[2]
    return [(path, path.read_text()) for path in sorted((root / "daemon").rglob("*.py"))]


def test_ordinary_code_holds_no_marker() -> None:
    """Only modules whose subject are markers spell some of them."""
    found = {
        f"{path.parent.name}/{path.name}" for path, text in own_sources() if before_marker(text)[1]
    }
    assert found <= {"resident/markers.py", "backends/chat.py", "backends/spelling.py"}


@pytest.mark.parametrize(
    "text",
    ["a <| b", "f <| g |> h", "x < fim", "<p>a</p>", "<s>12</s>", "a<b>c", "[PREFIX]", "<filename>",
     "if a <", "x = y |", "<|", "<!-- a -->", "vec<fim_t>"],
)  # fmt: skip
def test_ordinary_text_stays(text: str) -> None:
    assert before_marker(text) == (text, False)


@pytest.mark.parametrize("marker", MARKERS)
def test_text_ends_before_a_marker_or_the_beginning_of_one(marker: str) -> None:
    assert before_marker(f"foo {marker} bar") == ("foo ", True)
    if marker[0] == "<":
        for length in range(9, len(marker)):
            assert before_marker(f"foo {marker[:length]}") == ("foo ", False)
