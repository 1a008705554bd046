"""The ways of installing that the README shows, followed to the letter in an empty home."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.neovim.conftest import SCRIPT, WHOLE, world
from tests.e2e.neovim.session import PLUGIN, Neovim, neovim

pytestmark = [pytest.mark.e2e, pytest.mark.editor]

CLONE = "/path/to/umbrella"
URL = "https://your.git.host/umbrella"


def block(containing: str) -> str:
    """Give the one example of the README that has `containing`."""
    examples = re.findall(r"```lua\n(.*?)```", (PLUGIN / "README.md").read_text(), re.DOTALL)
    (found,) = [example for example in examples if containing in example]
    return str(found)


def write(editor: Neovim, file: Path) -> None:
    """Type a line and take what is suggested."""
    editor.open(file)
    editor.type("idef ad")
    editor.see("d(a, b):")
    editor.type("<Tab><Esc>:w<CR>")
    editor.wait(lambda: file.read_text() == f"{WHOLE}\n")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository like ours that can be cloned from here."""
    root = tmp_path / "umbrella"
    shutil.copytree(PLUGIN, root / "editors" / "neovim")
    (root / "README.md").write_text("as in ours, the plugin lies below\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
        subprocess.run(["git", "-C", str(root), *identity, *command], check=True)
    return root


def test_by_path(binary: Path, shared: dict[str, str], repository: Path, tmp_path: Path) -> None:
    init = block("runtimepath:append('/path/to").replace(CLONE, str(repository))
    with neovim(binary, shared | {"HOME": str(tmp_path)}, init, None) as editor:
        write(editor, tmp_path / "main.py")


def test_the_built_in_front_end(
    newest: Path, shared: dict[str, str], repository: Path, tmp_path: Path
) -> None:
    path = f"vim.opt.runtimepath:append('{repository}/editors/neovim')\n"
    init = path + block("vim.lsp.inline_completion.enable()")
    with neovim(newest, shared | {"HOME": str(tmp_path)}, init, None) as editor:
        editor.open(tmp_path / "main.py")
        editor.type("idef ad")
        editor.see("d(a, b):", "nvim.lsp.inline_completion")


def test_vim_pack(newest: Path, tmp_path: Path, repository: Path) -> None:
    example = block("vim.pack.add").replace(URL, f"file://{repository}")
    init = example.replace("' })", "' }, { confirm = false })")  # nobody is here to say yes
    with (
        world(tmp_path, SCRIPT) as environment,
        neovim(newest, environment, init, None) as editor,
    ):
        editor.wait(lambda: editor.lua("return vim.v.vim_did_enter == 1"))  # it clones before
        assert editor.lua("return vim.pack.get({ 'umbrella' })[1].path").startswith(str(tmp_path))
        write(editor, tmp_path / "main.py")
