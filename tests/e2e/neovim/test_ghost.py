"""What a person sees and does: type, accept, dismiss, ask; in both versions of Neovim."""

from pathlib import Path

import pytest

from tests.e2e.neovim.session import Neovim

pytestmark = [pytest.mark.e2e, pytest.mark.editor]


def test_typed_accepted_and_saved(editor: Neovim, tmp_path: Path) -> None:
    editor.type("idef ad")
    editor.see("d(a, b):")
    assert editor.line() == "def add(a, b):"
    assert editor.text == "def ad"
    editor.type("<Tab>")
    editor.wait(lambda: editor.text == "def add(a, b):")
    editor.see("\n    return a + b")
    assert editor.line(1) == "    return a + b"
    editor.type("<Tab><Esc>:w<CR>")
    saved = "def add(a, b):\n    return a + b\n"
    editor.wait(lambda: (tmp_path / "main.py").read_text() == saved)
    assert editor.status()["accepted"] == 2
    editor.type("u")
    editor.wait(lambda: editor.text == "def add(a, b):")
    editor.type("u")
    editor.wait(lambda: editor.text == "def ad")
