"""What a person sees and does: type, accept, dismiss, ask; in both versions of Neovim."""

from pathlib import Path

import pytest

from tests.e2e.neovim.conftest import WHOLE, Start
from tests.e2e.neovim.session import Neovim

pytestmark = [pytest.mark.e2e, pytest.mark.editor]


def test_typed_accepted_and_saved(editor: Neovim, tmp_path: Path) -> None:
    editor.type("idef ad")
    editor.see("d(a, b):")
    assert editor.line() == WHOLE
    assert editor.text == "def ad"
    editor.type("<Tab>")
    editor.wait(lambda: editor.text == WHOLE)
    editor.type("<CR>")
    editor.see("return a + b")
    assert editor.line(1) == "    return a + b"
    editor.type("<Tab><Esc>:w<CR>")
    saved = "def add(a, b):\n    return a + b\n"
    editor.wait(lambda: (tmp_path / "main.py").read_text() == saved)
    assert editor.status()["accepted"] == 2
    editor.type("u")
    editor.wait(lambda: editor.text.splitlines() == [WHOLE, "    "])
    editor.type("u")
    editor.wait(lambda: editor.text == "def ad")


def test_word_by_word(editor: Neovim) -> None:
    editor.type("itotal = ")
    editor.see("price * amount + tax")
    for accepted in ("price", " *", " amount", " +", " tax"):
        before = editor.text
        editor.type("<M-Right>")
        editor.wait(lambda: editor.text == before + accepted)  # noqa: B023 - waited for at once
    assert editor.text == "total = price * amount + tax"
    assert editor.ghost() == ""


def test_line_by_line(start: Start, tmp_path: Path) -> None:
    with start("require('umbrella').setup({ keymap = { accept_line = '<C-l>' } })") as editor:
        editor.open(tmp_path / "main.py", "x = 1\n")
        editor.type("odef sub")
        editor.see("(a, b):\n    return a - b")
        editor.type("<C-l>")
        editor.wait(lambda: editor.text == "x = 1\ndef sub(a, b):")
        editor.see("\n    return a - b")
        assert editor.line(2) == "    return a - b"
        editor.type("<C-l>")
        editor.wait(lambda: editor.text == "x = 1\ndef sub(a, b):\n    return a - b")
        assert editor.lua("return vim.api.nvim_win_get_cursor(0)") == [3, 16]


def test_typed_through_without_flicker(editor: Neovim) -> None:
    editor.type("idef ad")
    editor.see("d(a, b):")
    editor.screen.painted.clear()
    for count, key in enumerate("d(a, b)", start=1):
        editor.type(key)
        editor.see("d(a, b):"[count:])
    assert {lines[0] for lines in editor.screen.painted} == {WHOLE}
    editor.type("<BS><BS>")
    editor.see("b):")
    assert {lines[0] for lines in editor.screen.painted} == {WHOLE}
    editor.type("x")
    editor.wait(lambda: editor.line() == "def add(a, x")


def test_dismissed_until_the_next_key(editor: Neovim) -> None:
    editor.type("idef ad")
    editor.see("d(a, b):")
    editor.type("<C-]>")
    editor.see("")
    assert editor.line() == "def ad"
    editor.type("d")
    editor.type("<BS>")
    editor.see("d(a, b):")
    editor.type("<Esc>")
    editor.see("")
    editor.type("a")
    editor.see("d(a, b):")


def test_asked_for_by_key_only(start: Start, tmp_path: Path) -> None:
    with start("require('umbrella').setup({ keymap = true, trigger = 'manual' })") as editor:
        editor.open(tmp_path / "main.py")
        editor.type("idef ad")
        editor.wait(lambda: editor.line() == "def ad")
        assert editor.asked == 0
        editor.type("<M-\\>")
        editor.see("d(a, b):")
        editor.type("d")
        editor.see("(a, b):")
        assert editor.asked == 1


def test_keys_do_what_they_did_before(start: Start, tmp_path: Path) -> None:
    init = (
        "vim.keymap.set('i', '<C-]>', 'bracket')\n"
        "vim.keymap.set('i', '<M-[>', function() return 'call' end, { expr = true })\n"
        "for _ = 1, 2 do require('umbrella').setup({ keymap = true }) end"
    )
    with start(init) as editor:
        editor.open(tmp_path / "main.py")
        editor.command("set expandtab shiftwidth=4 softtabstop=4")
        editor.type("ix<Tab><C-]><M-[>")
        editor.wait(lambda: editor.text == "x   bracketcall")


def test_what_follows_the_cursor_is_not_doubled(editor: Neovim) -> None:
    editor.type("iprint()<Left>")
    editor.wait(lambda: editor.line() == "print(a, b)")
    assert editor.text == "print()"
    editor.type("<M-Right>")
    editor.wait(lambda: editor.text == "print(a)")
    assert editor.line() == "print(a, b)"
    editor.type("<Tab>")
    editor.wait(lambda: editor.text == "print(a, b)")
    assert editor.lua("return vim.api.nvim_win_get_cursor(0)") == [1, 11]


def test_other_alphabets_and_line_ends(editor: Neovim, tmp_path: Path) -> None:
    editor.open(tmp_path / "umlaut.py", "x = '😋'\r\n")
    assert editor.lua("return vim.bo.fileformat") == "dos"
    editor.type("ogröße = ")
    editor.see("länge * höhe")
    editor.type("<Tab>😋<Esc>:w<CR>")
    saved = "x = '😋'\r\ngröße = länge * höhe😋\r\n"
    editor.wait(lambda: (tmp_path / "umlaut.py").read_bytes().decode() == saved)


def test_hidden_under_a_menu(editor: Neovim) -> None:
    editor.type("iadder adding<CR>def ad")
    editor.see("d(a, b):")
    editor.type("<C-x><C-n>")
    editor.wait(lambda: editor.lua("return vim.fn.pumvisible() == 1"))
    editor.see("")
    editor.type("<C-e>")
    editor.wait(lambda: not editor.lua("return vim.fn.pumvisible() == 1"))
    editor.see("d(a, b):")


def test_accepted_from_an_expression_mapping(start: Start, tmp_path: Path) -> None:
    init = (
        "require('umbrella').setup()\n"
        "vim.keymap.set('i', '<C-y>', function()\n"
        "  return require('umbrella').accept() and '' or 'none'\n"
        "end, { expr = true })"
    )
    with start(init) as editor:
        editor.open(tmp_path / "main.py")
        editor.type("i<C-y> def ad")
        editor.see("d(a, b):")
        editor.type("<C-y>")
        editor.wait(lambda: editor.text == f"none {WHOLE}")


def test_nothing_in_macros(editor: Neovim) -> None:
    editor.type("qqodef ad<Esc>q")
    editor.wait(lambda: editor.line(1) == "def ad")
    asked = editor.asked
    editor.type("3@q")
    editor.wait(lambda: editor.line(4) == "def ad")
    assert editor.asked == asked


def test_next_and_previous(editor: Neovim) -> None:
    editor.type("imean = ")
    editor.see("a / b")
    editor.type("<M-]>")
    editor.see("sum(a)")
    assert editor.line() == "mean = sum(a) (2/3)"
    editor.type("<M-[><M-[>")
    editor.see("mid(b)")
    assert editor.line() == "mean = mid(b) (3/3)"
    editor.type("m")
    editor.see("id(b)")
    assert editor.line() == "mean = mid(b)"
