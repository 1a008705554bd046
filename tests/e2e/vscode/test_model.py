"""The real thing: SmolLM2 on this machine's processor completes a line in VS Code."""

import os

import platformdirs
import pytest

from tests.e2e.vscode.conftest import MakeWorld, Open
from umbrella_daemon.demo.sample import PREFIX, SUFFIX, TYPED

pytestmark = [
    pytest.mark.editor,
    pytest.mark.weights,
    pytest.mark.timeout(300),  # it may have to be downloaded
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_the_embedded_default_completes(make_world: MakeWorld, open_window: Open) -> None:
    cache = platformdirs.user_cache_path("umbrella", appauthor=False) / "models"
    models = os.environ.get("UMBRELLA_MODELS__DIRECTORY", str(cache))
    world = make_world(
        UMBRELLA_PAIR="smollm2",
        UMBRELLA_ENGINE__DEVICE="cpu",
        UMBRELLA_MODELS__DIRECTORY=models,
    )
    window = await open_window(world, {"inventory.py": PREFIX + SUFFIX}, "inventory.py", False)
    await window.until_status("sparkle Umbrella")
    await window.press("Control+b")  # room for the code
    await window.focus()
    line, column = PREFIX.count("\n") + 1, len(PREFIX.rpartition("\n")[2]) + 1
    await window.press("Control+g")
    await window.page.locator(".quick-input-widget input[type=text]").fill(f":{line}:{column}")
    await window.press("Enter")
    await window.type(TYPED)
    ghost = await window.until("a suggestion", window.ghost)
    await window.picture("ghost-text")
    await window.press("Tab")
    await window.until_ghost("")
    await window.until_saved(PREFIX + TYPED + ghost + SUFFIX, "inventory.py")
