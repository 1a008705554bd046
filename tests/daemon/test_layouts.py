"""Layouts by family: each vocabulary holds the control tokens that the family's own file lists."""

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bpe import add_tokens, trained, write
from umbrella_daemon.resident.layouts import LAYOUTS, layout_for
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete, Snippet
from umbrella_engine.draft.logical import logical_order
from umbrella_engine.interface import FimTokens
from umbrella_engine.tokenizer import HFTokenizer

# family: kind of vocabulary, its control tokens, layout, prompt for the request below
FAMILIES: dict[str, tuple[str, tuple[str, ...], str, str]] = {
    "qwen2.5-coder": (
        "plain",
        ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
         "<|file_sep|>"),
        "anchored",
        "<|fim_prefix|>a\n<|fim_suffix|>\nz\n<|fim_middle|>x =",
    ),
    "starcoder2": (
        "plain",
        ("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<repo_name>",
         "<issue_start>", "<jupyter_start>"),
        "anchored",
        "<fim_prefix>a\n<fim_suffix>\nz\n<fim_middle>x =",
    ),
    "deepseek-coder": (
        "plain",
        ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜fim▁hole｜>",  # noqa: RUF001
         "<｜fim▁begin｜>", "<｜fim▁end｜>"),  # noqa: RUF001
        "anchored",
        "<｜fim▁begin｜>a\n<｜fim▁hole｜>\nz\n<｜fim▁end｜>x =",  # noqa: RUF001
    ),
    "codellama": (
        "marked",
        ("▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"),
        "anchored",
        "▁<PRE>a\n▁<SUF>\nz\n▁<MID>x =",
    ),
    "codegemma": (
        "marked",
        ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_separator|>"),
        "anchored",
        "<|fim_prefix|>a\n<|fim_suffix|>\nz\n<|fim_middle|>x =",
    ),
    "granite": (
        "plain",
        ("<|end_of_text|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
         "<|filename|>", "<|reponame|>"),
        "anchored",
        "<|fim_prefix|>a\n<|fim_suffix|>\nz\n<|fim_middle|>x =",
    ),
    "granite-code": (
        "plain",
        ("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<reponame>"),
        "anchored",
        "<fim_prefix>a\n<fim_suffix>\nz\n<fim_middle>x =",
    ),
    "codestral": (
        "marked",
        ("[PREFIX]", "[MIDDLE]", "[SUFFIX]"),
        "sp",
        "[SUFFIX]\nz\n[PREFIX]a\nx =",
    ),
    "seed-coder": (
        "plain",
        ("<[begin▁of▁sentence]>", "<[end▁of▁sentence]>", "<[fim-prefix]>", "<[fim-suffix]>",
         "<[fim-middle]>"),
        "spm",
        "<[fim-suffix]>\nz\n<[fim-prefix]>a\nx =<[fim-middle]>",
    ),
    "without": ("plain", (), "plain", "a\nx ="),
}  # fmt: skip
FILE_TOKENS = {
    "qwen2.5-coder": "<|file_sep|>",
    "starcoder2": "<file_sep>",
    "codegemma": "<|file_separator|>",
    "granite": "<|filename|>",
    "granite-code": "<filename>",
}
REQUEST = Complete(1, "file:///w/a.py", 1, "python", "/w/a.py", "a\nx = ge", "\nz\n")


@cache
def family(name: str, folder: Path) -> HFTokenizer:
    kind, spellings, _, _ = FAMILIES[name]

    def change(content: dict[str, Any]) -> None:
        known = {token["content"] for token in content["added_tokens"]}
        if name != "starcoder2":  # the trained vocabulary brings a separator of its own
            content["added_tokens"] = [
                token for token in content["added_tokens"] if token["content"] != "<file_sep>"
            ]
        add_tokens(content, *(one for one in spellings if one not in known))

    return write(folder, kind, change)


@pytest.fixture(params=FAMILIES)
def named(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, HFTokenizer]:
    return request.param, family(request.param, tmp_path)


def spelled(tokenizer: HFTokenizer, ids: list[int]) -> str:
    """Spell a prompt with its control tokens."""
    return "".join(
        (tokenizer.token_bytes(token) or tokenizer.spelling(token).encode()).decode("utf-8")
        for token in ids
    )


def test_each_family_gets_the_order_it_was_trained_in(named: tuple[str, HFTokenizer]) -> None:
    name, tokenizer = named
    prompt = build_prompt(REQUEST, tokenizer, PromptSettings(), 2000)
    _, _, layout, expected = FAMILIES[name]
    assert prompt.layout == layout
    text = spelled(tokenizer, prompt.ids) + prompt.owed.decode()
    assert text.replace(" ge", "").replace("x =", "") == expected.replace("x =", "")
    assert prompt.owed.endswith(b"ge")


def test_other_files_stand_first_under_their_names(named: tuple[str, HFTokenizer]) -> None:
    name, tokenizer = named
    snippets = (Snippet("b.py", "b = 1\n"), Snippet("c.py", "c = 2"))
    request = Complete(1, "d", 1, "python", "/w/a.py", "a\nx = ge", "\nz\n", snippets=snippets)
    prompt = build_prompt(request, tokenizer, PromptSettings(), 2000)
    alone = build_prompt(REQUEST, tokenizer, PromptSettings(), 2000)
    mark = FILE_TOKENS.get(name, "# ")
    start = f"{mark}b.py\nb = 1\n{mark}c.py\nc = 2\n{mark}a.py\n"
    assert spelled(tokenizer, prompt.ids) == start + spelled(tokenizer, alone.ids)
    assert prompt.owed == alone.owed


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "plain"])
def test_every_layout_can_be_asked_for(layout: str) -> None:
    tokenizer = trained("fim")
    settings = PromptSettings(layout=layout)  # type: ignore[arg-type]
    prompt = build_prompt(REQUEST, tokenizer, settings, 2000)
    assert prompt.layout == layout
    text = spelled(tokenizer, prompt.ids)
    order = [text.index(f"<|fim_{part}|>") for part in LAYOUTS[layout].parts
             if part in ("prefix", "suffix", "middle")]  # fmt: skip
    assert order == sorted(order)
    assert all(part in text + prompt.owed.decode() for part in ("a\n", "x =", "\nz\n"))
    before, _ = logical_order(prompt.ids, tokenizer.fim)
    if "middle" in LAYOUTS[layout].parts:
        assert spelled(tokenizer, before).replace("<|fim_prefix|>", "") == (
            "a\nx = ge".removesuffix(prompt.owed.decode())
        )


def test_without_the_tokens_there_is_one_layout() -> None:
    assert layout_for(None, "psm").name == "plain"
    assert layout_for(FimTokens(1, 2, 3), "auto").name == "anchored"
    assert layout_for(FimTokens(1, 2, 3), "psm").name == "psm"


@pytest.mark.parametrize("budget", [0, 5, 12, 30, 512])
def test_context_keeps_its_budget_and_whole_snippets(budget: int) -> None:
    tokenizer = trained("fim")
    snippets = tuple(Snippet(f"f{n}.py", f"value_{n} = {n}\n" * n) for n in range(1, 6))
    request = Complete(1, "d", 1, "python", "a.py", "x = ", "", snippets=snippets)
    alone = build_prompt(Complete(1, "d", 1, "python", "a.py", "x = ", ""), tokenizer,
                         PromptSettings(), 2000)  # fmt: skip
    prompt = build_prompt(request, tokenizer, PromptSettings(context_tokens=budget), 2000)
    context = prompt.ids[: len(prompt.ids) - len(alone.ids)]
    assert len(context) <= budget
    text = spelled(tokenizer, context)
    for snippet in snippets:
        assert (snippet.text in text) == (f"{snippet.path}\n" in text)


@pytest.mark.parametrize(
    ("healing", "owed"), [("identifier", b" getattr"), ("token", None), ("none", b"")]
)
def test_modes_of_healing(healing: str, owed: bytes | None) -> None:
    tokenizer = trained("plain")
    request = Complete(1, "d", 1, "python", "a.py", "x = getattr", "")
    settings = PromptSettings(healing=healing)  # type: ignore[arg-type]
    prompt = build_prompt(request, tokenizer, settings, 2000)
    ids = tokenizer.encode("x = getattr")
    assert prompt.owed == (tokenizer.token_bytes(ids[-1]) if owed is None else owed)


LINES = st.lists(st.sampled_from(["x = 1", "    return foo(bar)", "", "é = '変'"]), max_size=30)


@settings(max_examples=25)
@given(before=LINES, after=LINES, line=st.text("abc (=.", min_size=2, max_size=12))
@pytest.mark.parametrize("layout", ["anchored", "spm", "spm-anchored", "sp", "plain"])
def test_typing_changes_but_the_end(
    layout: str, before: list[str], after: list[str], line: str
) -> None:
    """Stable first: what two keystrokes have in common is all but the last word."""
    tokenizer = trained("plain" if layout == "plain" else "fim")
    wanted = PromptSettings(layout=layout)  # type: ignore[arg-type]
    prefix, suffix = "".join(f"{one}\n" for one in before), "\n" + "\n".join(after)
    typed = [prefix + line[:count] for count in range(len(line) + 1)]
    prompts = [
        build_prompt(Complete(1, "d", 1, "", "", one, suffix), tokenizer, wanted, 2000)
        for one in typed
    ]
    for earlier, later in pairwise(prompts):
        common = next(
            (n for n, (a, b) in enumerate(zip(earlier.ids, later.ids, strict=False)) if a != b),
            min(len(earlier.ids), len(later.ids)),
        )
        assert len(later.ids) - common <= 3 + len(tokenizer.encode(line))
