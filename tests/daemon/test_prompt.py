import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpe import sources, trained
from umbrella_daemon.resident.prompt import Prompt, build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import Tokenizer
from umbrella_engine.scripted import FIM, ScriptedTokenizer

SOURCE = "".join(sources())
SETTINGS = PromptSettings(prefix_tokens=200, suffix_tokens=50)
KINDS = ("plain", "fim", "marked")
PLACE = st.integers(0, len(SOURCE) - 1)


def prompt_at(
    prefix: str,
    suffix: str = "",
    kind: str | Tokenizer = "fim",
    settings: PromptSettings = SETTINGS,
    most: int = 1000,
) -> Prompt:
    tokenizer = trained(kind) if isinstance(kind, str) else kind
    request = Complete(1, "file:///a.py", 1, "python", "a.py", prefix, suffix)
    return build_prompt(request, tokenizer, settings, most)


def parts(prompt: Prompt, tokenizer: Tokenizer) -> tuple[str, str, str]:
    """Lines before, text after, typed text without what is owed."""
    assert tokenizer.fim is not None
    ids = prompt.ids
    cuts = [
        ids.index(t) for t in (tokenizer.fim.prefix, tokenizer.fim.suffix, tokenizer.fim.middle)
    ]
    assert cuts == sorted(cuts)
    assert sum(token in tokenizer.stop_ids for token in ids) == 3
    before, after, typed = (
        b"".join(map(tokenizer.token_bytes, ids[a + 1 : b])).decode()
        for a, b in pairwise([*cuts, len(ids)])
    )
    return before, after, typed


def text_of(prompt: Prompt, kind: str) -> str:
    return b"".join(map(trained(kind).token_bytes, prompt.ids)).decode()


def common(left: list[int], right: list[int]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))


def test_the_typed_line_comes_last() -> None:
    prompt = prompt_at("import os\n\nx = os.get", "\nprint(x)\n")
    assert prompt.layout == "anchored"
    before, after, typed = parts(prompt, trained("fim"))
    assert (before, after) == ("import os\n\n", "\nprint(x)\n")
    assert typed + prompt.owed.decode() == "x = os.get"
    assert prompt.owed.endswith(b"get")


def test_without_fim_tokens_the_prompt_is_the_prefix() -> None:
    prompt = prompt_at("import os\n\nx = os.get", "\nprint(x)\n", "plain")
    assert prompt.layout == "plain"
    assert text_of(prompt, "plain") + prompt.owed.decode() == "import os\n\nx = os.get"


@pytest.mark.parametrize("kind", KINDS)
@given(place=PLACE, tail=st.text(max_size=20), rest=st.text(max_size=12))
def test_nothing_of_the_line_is_lost(kind: str, place: int, tail: str, rest: str) -> None:
    prefix = SOURCE[max(0, place - 200) : place] + tail.replace("\r", "")
    prompt = prompt_at(prefix, rest, kind)
    if kind == "fim":
        before, after, typed = parts(prompt, trained(kind))
        assert before + typed + prompt.owed.decode() == prefix
        assert after == rest.replace("\r\n", "\n")
    else:
        assert text_of(prompt, kind) + prompt.owed.decode() == prefix
    assert prompt.ids
    assert len(prompt.owed) <= 64 + 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("prefix", "owed"),
    [
        ("x = ret", " ret"),
        ("x = näme", " näme"),
        ("x = 変数", " 変数"),
        ("\tif(x", "x"),
        ("f(", "f?\\("),
        ("a = b +", " ?\\+"),
        ("a = b + ", "( ?\\+)? "),
    ],
)
def test_what_may_still_grow_is_taken_back(kind: str, prefix: str, owed: str) -> None:
    assert re.fullmatch(f".*?{owed}", prompt_at(f"import os\n{prefix}", "", kind).owed.decode())


@pytest.mark.parametrize("break_and_indent", ["\n", "\n    ", "\n\n\t", "\n        ret"])
def test_line_breaks_are_taken_back_where_tokens_span_lines(break_and_indent: str) -> None:
    prompt = prompt_at("def f(x):" + break_and_indent, "", "plain")
    assert prompt.owed.decode() == break_and_indent


def test_indentation_is_taken_back_after_the_middle_token() -> None:
    prompt = prompt_at("def f(x):\n    ", "")
    before, _, typed = parts(prompt, trained("fim"))
    assert (before, typed, prompt.owed) == ("def f(x):\n", "", b"    ")


def test_nothing_is_owed_at_the_start_of_a_line() -> None:
    assert prompt_at("def f(x):\n", "").owed == b""


def test_a_long_word_is_taken_back_in_part() -> None:
    word = "".join(f"Word{n}" for n in range(200))
    for kind in KINDS:
        prompt = prompt_at(f"x = {word}", "", kind)
        assert 32 < len(prompt.owed) <= 64
        assert word.endswith(prompt.owed.decode())


def test_what_is_taken_back_starts_with_a_character() -> None:
    tokenizer = ScriptedTokenizer(fim=FIM)
    prompt = prompt_at("x = '🦜", "", tokenizer)
    assert prompt.owed == "🦜".encode()
    assert prompt_at("変" * 60, "", tokenizer).owed.decode() == "変" * 22


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["", "i", "\n", "    "])
def test_the_start_of_a_document_has_a_prompt(kind: str, prefix: str) -> None:
    prompt = prompt_at(prefix, "", kind)
    assert prompt.ids
    assert prompt.owed.decode() == ("" if prefix == "\n" and kind == "fim" else prefix)
    if kind == "plain":
        assert prompt.ids == [trained("plain").encode("x")[0] * 0]  # <|endoftext|>
    if kind == "fim":
        assert parts(prompt, trained("fim"))[1:] == ("", "")


def test_a_vocabulary_without_any_control_token_starts_with_a_line_break() -> None:
    assert prompt_at("", "", ScriptedTokenizer(stop_ids=frozenset())).ids == [10]


@pytest.mark.parametrize("fim", [None, FIM])
@pytest.mark.parametrize("prefix", ["", "x = 1\ny = "])
def test_bos_comes_first_where_the_model_wants_it(fim: object, prefix: str) -> None:
    tokenizer = ScriptedTokenizer(fim=FIM if fim else None, bos_id=256)
    assert prompt_at(prefix, "", tokenizer).ids[0] == 256
    assert prompt_at(prefix, "", tokenizer).ids.count(256) == 1


def test_windows_line_ends_are_read_as_line_feeds() -> None:
    unix = "import os\n\ndef f():\n    ret", "\n\nf()\n"
    before, after = (text.replace("\n", "\r\n") for text in unix)
    for kind in KINDS:
        assert prompt_at(before, after, kind) == prompt_at(*unix, kind)


PATHOLOGICAL = {
    "code": SOURCE[:40_000],
    "one line": "x = [" + "1, " * 33_000,
    "emoji": "🦜🏴‍☠️" * 4000,
    "emoji lines": "🦜🏴‍☠️\n" * 4000,
    "spaces": " " * 100_000,
    "line breaks": "\n" * 100_000,
    "word": "a" * 100_000,
    "null": "\0" * 5000,
    "long lines": ("y" * 3000 + " = 1\n") * 20,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", PATHOLOGICAL)
@pytest.mark.parametrize("suffix", ["code", "emoji", "one line", "line breaks"])
def test_budgets_hold_for_any_text(kind: str, prefix: str, suffix: str) -> None:
    prompt = prompt_at(PATHOLOGICAL[prefix], PATHOLOGICAL[suffix], kind)
    assert len(prompt.ids) <= 200 + 50 + 3
    assert len(prompt.owed) <= 64
    if kind == "fim":
        ids, fim = prompt.ids, trained("fim").fim
        assert fim is not None
        assert 25 <= ids.index(fim.middle) - ids.index(fim.suffix) - 1 <= 50
        assert len(ids) - 3 - 50 <= 200
    assert len(prompt_at(PATHOLOGICAL[prefix], PATHOLOGICAL[suffix], kind, most=60).ids) <= 60


@pytest.mark.parametrize("kind", KINDS)
@given(place=PLACE, most=st.integers(4, 300), suffix=st.integers(0, 300))
def test_a_prompt_fits_into_what_the_engine_can_take(
    kind: str, place: int, most: int, suffix: int
) -> None:
    settings = PromptSettings(prefix_tokens=200, suffix_tokens=suffix)
    prompt = prompt_at(SOURCE[:place], SOURCE[place:], kind, settings, most)
    assert 1 <= len(prompt.ids) <= most


def test_no_room_for_the_layout_is_an_error() -> None:
    with pytest.raises(ValueError, match="no room for the 3 control tokens"):
        prompt_at("x", "", "fim", most=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", [0, 20_000])
def test_a_typed_character_changes_a_few_ids_at_the_end(kind: str, start: int) -> None:
    """The property the reuse of keys and values stands on, over thousands of keystrokes."""
    text, suffix = SOURCE[:start], SOURCE[start + 2000 :]
    settings = PromptSettings()
    previous = prompt_at(text, suffix, kind, settings, 4000).ids
    jumps = 0
    for character in SOURCE[start : start + 2000]:
        text += character
        ids = prompt_at(text, suffix, kind, settings, 4000).ids
        changed = min(len(previous), len(ids)) - common(previous, ids)
        if kind == "fim" and character == "\n":  # the line before joins the lines above
            changed = 0
        jumps += changed > 8
        previous = ids
    # without a middle token the window may move at line ends alone
    assert jumps <= (0 if kind == "fim" else 10)


def test_a_line_break_moves_the_window_rarely() -> None:
    """Where the window stands still, all but the lines' end and the suffix stays in place."""
    text, moves = SOURCE[:20_000], 0
    fim = trained("fim").fim
    assert fim is not None
    before = [fim.prefix]
    lines = SOURCE[20_000:26_000].splitlines(keepends=True)
    for line in lines:
        text += line
        ids = prompt_at(text, "", "fim", PromptSettings(), 4000).ids
        longer = ids[: ids.index(fim.suffix)]
        moves += len(before) - common(before, longer) > 8
        before = longer
    assert 1 <= moves < len(lines) / 8  # the text is this repository's own and changes with it


def test_typing_a_long_line_moves_the_window_rarely() -> None:
    text, suffix = SOURCE[:20_000] + "\nvalues = [", "]\n" + SOURCE[20_000:]
    previous, moves = prompt_at(text, suffix).ids, 0
    for number in range(400):
        text += f"{number}, "
        ids = prompt_at(text, suffix).ids
        moves += min(len(previous), len(ids)) - common(previous, ids) > 8
        previous = ids
    assert moves < 80  # tokens typed: 1500; a window of the line: 100


def test_deleting_a_character_keeps_the_rest_of_the_ids() -> None:
    text = SOURCE[:20_000]
    longer, shorter = prompt_at(text + "os.environ").ids, prompt_at(text + "os.enviro").ids
    assert len(shorter) - common(longer, shorter) <= 8


def test_a_vocabulary_that_cannot_spell_the_text_owes_nothing() -> None:
    class Deaf(ScriptedTokenizer):
        def token_bytes(self, token: int) -> bytes:
            return b"?"

    prompt = prompt_at("x = 1", "", Deaf(fim=FIM))
    assert prompt.owed == b""
    assert bytes(prompt.ids[3:]).decode() == "x = 1"
