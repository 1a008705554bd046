"""What is done before a key is pressed: reading at the focus, reading other files, answers kept."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.editor import Editor, editors

pytestmark = pytest.mark.e2e

TRIES = 50


async def latest(editor: Editor) -> dict[str, Any]:
    traces = (await editor.request("umbrella/trace", {"traces": 1}))["traces"]
    return dict(traces[-1])


async def test_focus_with_a_position_prepares_the_first_answer(tmp_path: Path) -> None:
    async with editors(tmp_path, {"default": "1 + 2\n"}) as world:
        editor = await world.begin()
        for number in range(TRIES):  # each time with a document that nobody knows yet
            uri = f"file:///project/{number}.py"
            editor.open(uri, "x = ")
            position = {"line": 0, "character": 4}
            focus = {"textDocument": {"uri": uri}, "position": position}
            editor.notify("textDocument/didFocus", focus)
            await asyncio.sleep(0.02 * number)  # the longer, the surer it is ready
            assert await editor.complete(uri, 0, 4)
            if (await latest(editor))["source"] == "prefetch":
                return
        raise AssertionError("the answer was never prepared")


async def test_typing_what_is_shown_is_answered_without_the_engine(tmp_path: Path) -> None:
    async with editors(tmp_path, {"default": "1 + 2\n"}) as world:
        editor = await world.begin()
        uri = "file:///project/main.py"
        editor.open(uri, "x = ")
        (item,) = await editor.complete(uri, 0, 4)
        assert item["insertText"] == "1 + 2"
        editor.type(uri, 2, 0, 4, "1 ")
        (item,) = await editor.complete(uri, 0, 6)
        assert item["insertText"] == "+ 2"
        trace = await latest(editor)
        assert (trace["source"], trace["target_steps"]) == ("store", 0)


async def test_ignored_files_are_silent_with_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".gitignore").write_text("made/\n")
    async with editors(tmp_path, {"default": "1 + 2\n"}) as world:
        editor = await world.begin()
        for name, shown in (("made/a.py", False), ("kept.py", True)):
            uri = (folder / name).as_uri()
            editor.open(uri, "x = ")
            assert bool(await editor.complete(uri, 0, 4)) == shown
        assert (await editor.request("umbrella/stats", None))["reasons"] == {"ignored": 1}
