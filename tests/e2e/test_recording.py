"""Typing recorded by a real language server and replayed by the benchmark."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.editor import Editor, Editors, Message, editors, isolated
from umbrella_daemon.bench.keystrokes import COUNTERS, Session
from umbrella_daemon.recordings import Recording
from umbrella_daemon.settings import load_settings
from umbrella_daemon.typing_trace import Ask, Trace, asks, read

pytestmark = pytest.mark.e2e

SCRIPT: Message = {
    "answers": [{"ends_with": "def ad", "text": "d(a, b):"}],
    "default": "self.value = 1\n",
    "fim": True,
}
TYPED = "def add(a, b):"
UMBRELLA = str(Path(sys.executable).with_name("umbrella"))


@pytest.mark.parametrize("mode", ["masked", "plain"])
def test_a_recorded_session_is_replayed_the_same_twice(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, path = asyncio.run(recorded(tmp_path, mode))
    trace = read(path)
    assert (asks(trace.events), trace.header.masked) == (len(TYPED), mode == "masked")
    assert ("import" in path.read_text()) == (mode == "plain")
    assert "TOKEN" not in path.read_text()
    assert isinstance(trace.events[-1], Ask)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    rows = [counters(trace) for _ in range(2)]
    assert rows[0] == rows[1]
    assert rows[0]["keys"] == len(TYPED)
    assert rows[0]["shown"] > 0
    assert list(path.parent.iterdir()) == [path]  # the replay is not recorded


def test_recording_shows_without_a_daemon(tmp_path: Path) -> None:
    environment = isolated(tmp_path)
    recording = Recording.begin(tmp_path / "state" / "umbrella" / "recordings", 1000)
    run = subprocess.run(
        [UMBRELLA, "status", "--json"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert json.loads(run.stdout)["recordings"] == [str(recording.path)]
    run = subprocess.run(
        [UMBRELLA, "status"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert f"into {recording.path}" in run.stdout
    recording.close()


async def recorded(home: Path, mode: str) -> tuple[dict[str, str], Path]:
    """Record a line; give the environment, in which it is always wished for, and the file."""
    async with editors(home, SCRIPT) as world:
        world.environment["UMBRELLA_RECORDING__TYPING"] = mode
        editor = await world.begin()
        said = await editor.until(
            lambda sent: (
                sent["method"] == "window/showMessage"
                and "records your typing" in sent["params"]["message"]
            )
        )
        path = Path((await editor.status())["recording"])
        assert str(path) in said["params"]["message"]
        await typed(editor, "file:///project/main.py")
        editor.open("file:///project/.env", "TOKEN=abcdef\n", "plaintext")
        await editor.complete("file:///project/.env", 0, 5)
        assert under_way(world) == [str(path)]
        assert "recording" in umbrella(world, "status")
        await world.leave()
        assert under_way(world) == []
        return world.environment, path


async def typed(editor: Editor, uri: str) -> None:
    """Type a line, asking at each key, as editors do."""
    editor.open(uri, "import os\n\n")
    focus = {"textDocument": {"uri": uri}, "position": {"line": 2, "character": 0}}
    editor.notify("textDocument/didFocus", focus)
    for column, key in enumerate(TYPED):
        editor.type(uri, 2 + column, 2, column, key)
        await editor.complete(uri, 2, column + 1)


def under_way(world: Editors) -> list[str]:
    return list(json.loads(umbrella(world, "status", "--json"))["recordings"])


def umbrella(world: Editors, *arguments: str) -> str:
    command = [UMBRELLA, *arguments]
    run = subprocess.run(command, env=world.environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def counters(trace: Trace) -> dict[str, int]:
    played, _ = Session(trace, "answers", lambda *_: None).ours(load_settings())
    return {name: int(played.row[name] or 0) for name in COUNTERS}
