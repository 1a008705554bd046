"""Slow servers, dead ones, and those that are still loading."""

import os
import signal

import psutil
import pytest

from tests.e2e.vscode.conftest import MakeWorld, Open
from tests.e2e.vscode.world import World

pytestmark = [pytest.mark.editor, pytest.mark.asyncio(loop_scope="session")]

WORD = "def add"
# what an answer to each older request would show; each takes a second
SLOW = {
    "answers": [
        {"ends_with": WORD[:length], "text": f"_old_{length}" if length < len(WORD) else "(a, b):"}
        for length in range(len(WORD), 0, -1)
    ],
    "default": "_older",
    "step_ms": 500,
    "tokens_per_step": 64,
}


def processes(world: World, name: str) -> list[psutil.Process]:
    """Processes of a world with `name` in their command line."""
    socket = world.environment["UMBRELLA_DAEMON__SOCKET"]
    found = []
    for process in psutil.process_iter():
        try:
            named = any(name in word for word in process.cmdline())
            if named and process.environ().get("UMBRELLA_DAEMON__SOCKET") == socket:
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill(world: World, name: str) -> None:
    (process,) = processes(world, name)
    os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=10)


async def test_an_older_answer_is_never_shown(make_world: MakeWorld, open_window: Open) -> None:
    world = make_world(SLOW)
    window = await open_window(world)
    await window.type(WORD, delay_ms=120)
    await window.until_status("loading~spin Umbrella")
    await window.until_ghost("(a, b):")
    assert [text for text, _ in await window.painted() if "old" in text] == []
    status = await world.daemon()
    # VS Code asks at each key, so each but the last is given up while it runs or waits
    assert status.reasons.get("cancelled", 0) >= 3
    assert status.shown == 1


async def test_the_language_server_is_killed(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    kill(common, "/umbrella-lsp")
    await window.until_status("starting")
    await window.until_status("sparkle Umbrella")
    await window.type("d")
    await window.press("Escape", "Backspace", "Backspace")
    await window.type("d")
    await window.until_ghost("d(a, b):")
    await window.press("Tab")
    await window.until_saved("def add(a, b):")


async def test_the_daemon_is_killed(make_world: MakeWorld, open_window: Open) -> None:
    world = make_world()
    window = await open_window(world)
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    kill(world, "umbrella_daemon.resident")
    await window.type("x")  # finds out, and has another one started
    await window.until_status("sparkle Umbrella")
    await window.type("\nsub")
    await window.until_ghost("total = first")


async def test_a_download_is_shown(make_world: MakeWorld, open_window: Open) -> None:
    phases = [
        {"phase": "downloading", "message": f"{done} of 93 MB", "done": done, "total": 93}
        for done in (4, 40, 91)
    ]
    phases.append({"phase": "loading", "message": "weights", "done": 1, "total": 2})
    script = {"phases": phases, "load_ms": 4000, "default": "later"}
    window = await open_window(make_world(script), ready=False)
    await window.until_status("loading~spin Umbrella: downloading 43 %")
    await window.picture("download", below=500)
    await window.until_status("loading~spin Umbrella: loading 50 %")
    await window.ready()
    await window.type("now")
    await window.until_ghost("later")


async def test_a_model_that_cannot_be_loaded(make_world: MakeWorld, open_window: Open) -> None:
    world = make_world({"fail": "the weights are gone"})
    window = await open_window(world, ready=False)
    await window.until_status("warning Umbrella: failed")
    await window.page.hover("[id='umbrella.umbrella-lsp.umbrella.status']")
    await window.page.wait_for_selector(".hover-contents >> text=the weights are gone")


async def test_a_server_that_is_not_there(common: World, open_window: Open) -> None:
    window = await open_window(common, ready=False, **{"server.path": "/nowhere/umbrella-lsp"})
    await window.until_status("warning Umbrella: not installed")
    await window.until_notified("“/nowhere/umbrella-lsp”, which is no program")
    window.set(**{"server.path": str(common.server)})
    await window.ready()
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
