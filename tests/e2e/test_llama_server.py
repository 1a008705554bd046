"""End to end with a real llama-server: a suggestion, a kill in the middle, and back again."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.editor import Editor, Message, editors
from tests.llama_server import MODEL, PROGRAM, LlamaServer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not (os.environ.get(PROGRAM) and os.environ.get(MODEL)),
        reason=f"{PROGRAM} and {MODEL} name no llama-server and no GGUF file",
    ),
]
URI = "file:///project/shapes.py"
TEXT = '''"""Shapes."""


def area_of_rectangle(width: float, height: float) -> float:
    """Give the area."""
    return width * height


def area_of_square(side: float) -> float:
    """Give the area."""
    ret'''
PLACE = (TEXT.count("\n"), 7)


@pytest.fixture(params=["llama-server", "openai"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[LlamaServer, Editor]]:
    server = await asyncio.to_thread(LlamaServer(tmp_path / "llama-server.log").start)
    try:
        async with editors(tmp_path) as world:
            world.environment |= {
                "UMBRELLA_BACKEND__KIND": request.param,
                "UMBRELLA_BACKEND__URL": server.url,
                "UMBRELLA_COMPLETION__MIN_CONFIDENCE": "0",
                "UMBRELLA_COMPLETION__MAX_MS": "0",
            }
            editor = await world.begin(options={"completion": {"max_tokens": 16}})
            editor.open(URI, TEXT)
            yield server, editor
    finally:
        server.kill()


async def complete(editor: Editor) -> str:
    items = await editor.complete(URI, *PLACE)
    return items[0]["insertText"] if items else ""


async def test_a_suggestion_a_crash_and_the_way_back(
    world: tuple[LlamaServer, Editor],
) -> None:
    server, editor = world
    first = await complete(editor)
    assert first.startswith("urn ")  # the word is finished as it was begun
    status = await editor.status()
    (trace,) = [one for one in status["daemon"]["traces"] if one["source"] == "engine"][:1]
    assert 0 < trace["confidence"] <= 1

    # another file: nothing is known of it, so the server has to work
    other = "file:///project/other.py"
    editor.open(other, TEXT.replace("area", "surface") * 8)
    lines = (TEXT * 8).count("\n")
    params = {
        "textDocument": {"uri": other},
        "position": {"line": lines, "character": 7},
        "context": {"triggerKind": 2},
    }
    waiting = editor.ask("textDocument/inlineCompletion", params)
    await asyncio.to_thread(server.until, server.busy, "work")
    server.kill()
    assert (await waiting)["result"]["items"] == []
    down: Message = await editor.status(lambda status: status["phase"] == "backend-down")
    assert f"The backend at {server.url}" in down["message"]
    assert down["reasons"]["backend-down"] == 1

    editor.received.clear()
    await asyncio.to_thread(server.start)
    await editor.ready()
    editor.type(URI, 2, PLACE[0], PLACE[1], "")
    assert await complete(editor) == first
    shown = [one for one in editor.received if one["method"].startswith("window/show")]
    assert shown == []  # nobody was shown a box
