"""The server behind the text: slow, killed, told new settings, absent; in both versions."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.neovim.conftest import SCRIPT, WHOLE, Start, world
from tests.e2e.neovim.session import BUILT_IN, Neovim, neovim

pytestmark = [pytest.mark.e2e, pytest.mark.editor]

OLD = "OLDER"
SLOW: dict[str, Any] = {  # a second an answer: prefill, then four bytes a step
    "answers": [{"ends_with": "def add", "text": "(a, b):"}],
    "default": f" {OLD}!",
    "step_ms": 330,
}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a daemon that takes a second for an answer."""
    with world(tmp_path_factory.mktemp("slow"), SLOW) as environment:
        yield environment


def press(editor: Neovim, keys: str) -> None:
    """Press keys one by one, each once the one before is on its way to the server."""
    for key in keys:
        before = editor.lua("return vim.b.changedtick")
        editor.type(key)
        editor.wait(lambda: editor.lua("return vim.b.changedtick") > before)  # noqa: B023


def test_a_slow_server_is_told_of_each_key(
    binary: Path, slow: dict[str, str], tmp_path: Path
) -> None:
    with neovim(binary, slow | {"HOME": str(tmp_path)}) as editor:
        editor.open(tmp_path / "main.py")
        editor.type("i")
        press(editor, "def add")
        editor.see("(a, b):")
        assert not [lines for lines in editor.screen.painted if OLD in "".join(lines)]
        # one request when insert mode begins, one a key; all but the last are cancelled, the
        # first perhaps before the server has looked at it
        assert editor.asked == 8
        assert editor.reasons() in ({"cancelled": 7}, {"cancelled": 6})
        assert editor.status()["daemon"]["reasons"].keys() <= {"cancelled"}
        press(editor, "X")
        editor.see(f" {OLD}!")
        shown = {lines[0] for lines in editor.screen.painted}
        assert not [line for line in shown if "addX(" in line]


def test_the_built_in_front_end_shows_nothing_old(
    newest: Path, slow: dict[str, str], tmp_path: Path
) -> None:
    with neovim(newest, slow | {"HOME": str(tmp_path)}, BUILT_IN) as editor:
        editor.open(tmp_path / "main.py")
        editor.type("i")
        for key in "def add":
            asked = editor.asked
            editor.type(key)
            # its 200 ms have passed, and the next key comes while the answer is made
            editor.wait(lambda: editor.asked > asked)  # noqa: B023
        editor.see("(a, b):", "nvim.lsp.inline_completion")
        assert not [lines for lines in editor.screen.painted if OLD in "".join(lines)]


def test_the_built_in_front_end(newest: Path, shared: dict[str, str], tmp_path: Path) -> None:
    with neovim(newest, shared | {"HOME": str(tmp_path)}, BUILT_IN) as editor:
        editor.open(tmp_path / "main.py")
        editor.type("idef ad")
        editor.see("d(a, b):", "nvim.lsp.inline_completion")
        assert editor.line() == WHOLE
        editor.type("<Tab>")
        editor.wait(lambda: editor.text == WHOLE)
        editor.wait(lambda: editor.status()["accepted"] == 1)


def server_of(editor: Neovim) -> psutil.Process:
    """The language server's process."""
    (server,) = [
        child
        for child in psutil.Process(editor.lua("return vim.uv.os_getpid()")).children()
        if "umbrella-lsp" in " ".join(child.cmdline())
    ]
    return server


@pytest.mark.parametrize("init", [None, BUILT_IN], ids=["setup", "enable"])
def test_the_server_is_killed(start: Start, tmp_path: Path, init: str | None) -> None:
    if init and "0.11" in os.environ.get("PYTEST_CURRENT_TEST", ""):
        init = "vim.lsp.enable('umbrella')"
    with start(init) if init else start() as editor:
        editor.open(tmp_path / "main.py")
        old = server_of(editor)
        editor.type("idef ad")
        old.kill()
        editor.wait(lambda: editor.phase() == "stopped")
        editor.wait(lambda: editor.phase() == "ready")
        assert server_of(editor).pid != old.pid
        if not init:
            editor.type("d")
            editor.see("(a, b):")


def test_a_server_that_dies_again_and_again_is_left_alone(start: Start, tmp_path: Path) -> None:
    with start("require('umbrella').setup({ cmd = { 'sh', '-c', 'exit 3' } })") as editor:
        (tmp_path / "main.py").write_text("")
        editor.command(f"edit {tmp_path / 'main.py'}")
        said = "return vim.fn.execute('messages')"
        editor.wait(lambda: "left alone" in editor.lua(said))
        editor.type("<CR>idef ad")
        editor.wait(lambda: editor.text == "def ad")


def test_the_daemon_is_killed(binary: Path, tmp_path: Path) -> None:
    with (
        world(tmp_path, SLOW | {"step_ms": 1}) as environment,
        neovim(binary, environment) as editor,
    ):
        editor.open(tmp_path / "main.py")
        old = editor.status()["daemon"]["pid"]
        os.kill(old, signal.SIGKILL)
        editor.type("idef add")

        def answered() -> bool:
            editor.type("<BS>d")  # a person who goes on typing
            return editor.ghost() == "(a, b):"

        editor.wait(answered)
        assert editor.status()["daemon"]["pid"] != old


def test_restarted_by_command(editor: Neovim) -> None:
    old = server_of(editor)
    editor.command("Umbrella restart")
    editor.wait(lambda: not old.is_running())
    editor.wait(lambda: editor.phase() == "ready")
    editor.type("idef ad")
    editor.see("d(a, b):")


def test_settings_change_while_it_runs(editor: Neovim) -> None:
    configure = "require('umbrella').configure({ completion = ... })"
    editor.type("idef ad")
    editor.see("d(a, b):")
    editor.lua(configure, {"disabled_languages": ["python"]})
    editor.type("d")
    editor.see("")
    editor.wait(lambda: "disabled" in editor.reasons())
    editor.lua(configure, {"disabled_languages": []})
    editor.type("(")
    editor.see("a, b):")
    editor.lua(configure, {"max_linse": 3})
    editor.wait(lambda: "did you mean" in editor.lua("return vim.fn.execute('messages')"))


def test_another_model_by_command(binary: Path, tmp_path: Path) -> None:
    with (
        world(tmp_path, SCRIPT) as environment,
        neovim(binary, environment | {"UMBRELLA_MODELS__OFFLINE": "true"}) as editor,
    ):
        editor.open(tmp_path / "main.py")
        first = editor.status()["daemon"]["pid"]
        editor.command("Umbrella model smollm2")
        editor.wait(lambda: editor.phase() == "failed", 60)  # no weights in this home; torch loads
        assert editor.status()["daemon"]["pair"].startswith("smollm2")
        editor.command("Umbrella model scripted")
        editor.wait(lambda: editor.phase() == "ready", 60)
        daemon = editor.status()["daemon"]
        assert daemon["pair"].startswith("scripted")
        assert daemon["pid"] != first
        editor.type("idef ad")
        editor.see("d(a, b):")


def test_what_is_accepted_in_parts_is_counted(editor: Neovim) -> None:
    editor.type("itotal = ")
    editor.see("price * amount + tax")
    editor.type("<M-Right><M-Right>")
    editor.wait(lambda: editor.text == "total = price *")
    ask = (
        "local client = require('umbrella.server').client()\n"
        "return client:request_sync('umbrella/stats', {}, 5000).result"
    )
    counts = editor.lua(ask)
    assert counts["partially_accepted"] == 1
    assert counts["accepted_characters"] == len("price *")
    assert counts["accepted"] == 0


def test_a_model_on_its_way_is_shown(binary: Path, tmp_path: Path) -> None:
    phases = [{"phase": "downloading", "message": "the weights", "done": 43, "total": 100}]
    with (
        world(tmp_path, {"phases": phases, "load_ms": 1500}) as environment,
        neovim(binary, environment) as editor,
    ):
        editor.command("set statusline=%{%v:lua.require'umbrella'.statusline()%}")
        editor.open(tmp_path / "main.py", ready="downloading")
        editor.wait(lambda: editor.line(-2) == "☂ downloading 43%")
        editor.type("idef")
        editor.wait(lambda: "loading" in editor.reasons())
        editor.wait(lambda: editor.line(-2) == "☂")
        editor.type(" ")
        editor.see("scripted")


def test_no_server_installed(binary: Path, shared: dict[str, str], tmp_path: Path) -> None:
    init = (
        "vim.env.PATH = '/usr/bin:/bin'\n"
        "vim.notify = function(text) vim.g.told = text end\n"
        "require('umbrella').setup()"
    )
    with neovim(binary, shared | {"HOME": str(tmp_path)}, init) as editor:
        assert "pipx install umbrella-lsp" in editor.lua("return vim.g.told")
        editor.command(f"edit {tmp_path / 'main.py'}")
        editor.type("idef ad")
        editor.wait(lambda: editor.text == "def ad")
