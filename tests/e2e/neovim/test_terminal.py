"""In a real terminal, as a new user meets it; the pictures of the README are taken here.

They are written where the variable UMBRELLA_PICTURES names a folder, and below tmp_path otherwise.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.neovim.conftest import world
from tests.e2e.neovim.session import neovim
from tests.e2e.neovim.terminal import terminal
from tests.editor import isolated
from umbrella_daemon.client import stop_daemon
from umbrella_daemon.paths import models_directory
from umbrella_daemon.settings import load_settings

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.editor,
]

BODY = """
    numbers = sorted(numbers)
    middle = len(numbers) // 2
    if len(numbers) % 2:
        return numbers[middle]
    return (numbers[middle - 1] + numbers[middle]) / 2"""
SCRIPT = {
    "answers": [
        {"ends_with": "def median(numbers):", "text": BODY},
        {"ends_with": "print(", "text": "median([3, 1, 2]))"},
    ],
    "default": "",
}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder that pictures go to."""
    named = os.environ.get("UMBRELLA_PICTURES")
    return Path(named) if named else tmp_path / "pictures"


def test_the_first_minutes(binary: Path, tmp_path: Path, pictures: Path) -> None:
    file = tmp_path / "median.py"
    file.write_text("# statistics without a library\n")
    init = (
        "vim.o.statusline = [[ %t %= %{%v:lua.require'umbrella'.statusline()%} ]]\n"
        # the scripted model's tokens are bytes
        "local completion = { max_tokens = 999 }\n"
        "require('umbrella').setup({ keymap = true, settings = { completion = completion } })"
    )
    with (
        world(tmp_path, SCRIPT) as environment,
        terminal(binary, environment, file, init) as screen,
    ):
        screen.wait_for("median.py ☂")
        screen.type("o", "def median(numbers):")
        screen.wait_for("return (numbers[middle - 1] + numbers[middle]) / 2")
        screen.picture(pictures / "ghost.svg")
        screen.type("Tab", "Escape", ":$put ='print()'", "Enter", "$i")
        screen.wait_for("print(median([3, 1, 2]))")
        screen.picture(pictures / "middle.svg")
        screen.type("Tab", "Escape", ":w", "Enter")
        screen.wait_for_file(file, "print(median")
        screen.type(":Umbrella status", "Enter")
        screen.wait_for("here on (filetypes['*'])")
        screen.picture(pictures / "status.svg")
        whole = f"def median(numbers):{BODY}\nprint(median([3, 1, 2]))\n"
        assert file.read_text() == f"# statistics without a library\n{whole}"
    assert "numbers" in (pictures / "ghost.svg").read_text()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment with the embedded default model, from the user's own store."""
    store = models_directory(load_settings())
    environment = isolated(tmp_path) | {
        "UMBRELLA_PAIR": "smollm2",
        "UMBRELLA_MODELS__DIRECTORY": str(store),
    }
    del environment["UMBRELLA_SCRIPT"]
    yield environment
    settings = tmp_path / "none.toml"
    settings.touch()
    asyncio.run(stop_daemon(load_settings(environ=environment, path=settings)))


@pytest.mark.weights
def test_the_real_model(newest: Path, real: dict[str, str], tmp_path: Path) -> None:
    text = "def add(a, b):\n    return a + b\n\n\ndef multiply(a, b):\n"
    with neovim(newest, real) as editor:
        file = tmp_path / "calculator.py"
        file.write_text(text)
        editor.command(f"edit {file}")
        editor.wait(lambda: editor.phase() == "ready", seconds=100)
        editor.type("Goreturn a")
        editor.wait(lambda: editor.ghost() == " * b", seconds=20)
        editor.type("<Tab><Esc>:w<CR>")
        editor.wait(lambda: file.read_text() == f"{text}    return a * b\n")
