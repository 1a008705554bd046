"""llama.vim, as its authors wrote it, against `umbrella api`.

The plugin is none of ours and is not fetched: UMBRELLA_LLAMA_VIM names a checkout of
https://github.com/ggml-org/llama.vim.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.api.server import Server, serving
from tests.e2e.neovim.session import Neovim, neovim

PLUGIN = os.environ.get("UMBRELLA_LLAMA_VIM", "")

pytestmark = [
    pytest.mark.editor,
    pytest.mark.skipif(not PLUGIN, reason="UMBRELLA_LLAMA_VIM names no checkout of llama.vim"),
]

ADD = "def add(a, b):"
SCRIPT = {
    "answers": [
        {"ends_with": "def ad", "text": "d(a, b):\n    return a + b"},
        {"ends_with": f"{ADD}\n    return a + b", "text": "  # their sum"},
        {"ends_with": "total = ", "text": "price * amount"},
    ],
    "default": "",
    "fim": True,
}
INIT = """
vim.g.llama_config = {{
  endpoint_fim = '{address}/infill',
  endpoint_inst = '{address}/v1/chat/completions',
  api_key = '{token}',
  show_info = 2,
}}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path, SCRIPT) as server:
        yield server


@pytest.fixture
def editor(binary: Path, server: Server, tmp_path: Path) -> Iterator[Neovim]:
    init = INIT.format(address=server.address, token=server.token)
    with neovim(binary, server.environment, init, Path(PLUGIN)) as editor:
        (tmp_path / "main.py").write_text("")
        editor.command(f"edit {tmp_path / 'main.py'}")
        yield editor


def ghost(editor: Neovim) -> str:
    return editor.ghost("vt_fim")


def test_what_is_typed_is_completed_and_accepted(editor: Neovim, server: Server) -> None:
    editor.type("idef ad")
    editor.wait(lambda: "d(a, b):" in ghost(editor))
    assert "    return a + b" in ghost(editor).splitlines()
    assert "t/s" in ghost(editor)  # what it shows of timings
    editor.type("<Tab>")
    editor.wait(lambda: editor.text == f"{ADD}\n    return a + b")
    # the answer to what it asks ahead is there at once
    editor.wait(lambda: "# their sum" in ghost(editor))
    assert server.metric("tokens_predicted_total") > 0


def test_a_line_is_accepted(editor: Neovim) -> None:
    editor.type("ototal = ")
    editor.wait(lambda: ghost(editor).startswith("price * amount"))
    editor.type("<S-Tab>")
    editor.wait(lambda: "total = price * amount" in editor.text)
