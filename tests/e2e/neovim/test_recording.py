"""A setting makes a trace of what is typed, and `:Umbrella status` says so."""

from pathlib import Path

import pytest

from tests.e2e.neovim.conftest import Start
from tests.e2e.neovim.test_plugin import MESSAGES
from umbrella_daemon.typing_trace import Change, asks, read

pytestmark = [pytest.mark.e2e, pytest.mark.editor]

SETUP = """
require('umbrella').setup({ keymap = true, settings = { recording = { typing = 'masked' } } })
"""


def test_typing_is_recorded_when_a_setting_says_so(start: Start, tmp_path: Path) -> None:
    with start(SETUP) as editor:
        editor.open(tmp_path / "main.py")
        editor.type("idef ad")
        editor.see("d(a, b):")
        path = Path(editor.status()["recording"])
        editor.type("<Tab>")
        editor.wait(lambda: editor.status()["accepted"] == 1)
        editor.type("<Esc>")
        editor.command("Umbrella status")
        editor.wait(lambda: f"records  your typing into {path}" in editor.lua(MESSAGES))
        editor.type("<CR>")
    trace = read(path)
    assert trace.header.masked
    assert asks(trace.events) > 0
    accepted = [one.text for one in trace.events if isinstance(one, Change) and one.accepted]
    assert accepted == ["x(x, x):"]
    assert "def" not in path.read_text()
