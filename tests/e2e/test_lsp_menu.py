"""`textDocument/completion`: offered where the user wants it, to any kind of editor."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.editor import Editor, Editors, Message, Refused, editors, one_daemon

pytestmark = pytest.mark.e2e

LONG = "total(" + ", ".join(f"part_{place}" for place in range(12)) + ")"
URI = "file:///project/main.py"
SCRIPT: Message = {
    "answers": [
        {"ends_with": "def ad", "text": "d(a, b='```'):"},
        {"ends_with": "call(", "text": "a)"},
        {"ends_with": "long = ", "text": LONG},
        {"ends_with": "def f():", "text": "\n    return 1"},
        {"ends_with": "# block\n", "text": "if a:\n    b()\nelse:\n    c()"},
        {"ends_with": "nothing", "text": ""},
    ],
}
ON: Message = {"completion": {"menu": True}}
DYNAMIC: Message = {"textDocument": {"completion": {"dynamicRegistration": True}}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editors]:
    with one_daemon(tmp_path_factory.mktemp("lsp"), SCRIPT) as world:
        yield world


@pytest.fixture
async def common(shared: Editors) -> AsyncIterator[Editors]:
    yield shared
    await shared.leave()


def asked(line: int, character: int, **more: object) -> Message:
    position = {"line": line, "character": character}
    return {"textDocument": {"uri": URI}, "position": position} | more


async def menu(editor: Editor, line: int, character: int, **more: object) -> Any:
    return await editor.request("textDocument/completion", asked(line, character, **more))


async def registered(editor: Editor, method: str = "client/registerCapability") -> Any:
    """What the server registers or unregisters, once it does."""
    sent = await editor.until(lambda sent: sent["method"] == method)
    editor.received.remove(sent)
    (one,) = sent["params"].get("registrations") or sent["params"]["unregisterations"]
    return one


async def test_it_is_not_offered_unasked(common: Editors) -> None:
    editor = await common.start()
    assert "completionProvider" not in await editor.initialize()
    with pytest.raises(Refused) as refused:
        await menu(editor, 0, 0)
    assert refused.value.code == -32601


async def test_an_entry(common: Editors) -> None:
    editor = await common.begin(options=ON)
    editor.open(URI, "x = '😋'; def ad\n")
    found = await menu(editor, 0, 16, context={"triggerKind": 7})
    assert found["isIncomplete"]
    (entry,) = found["items"]
    code = "add(a, b='```'):"
    assert (entry["label"], entry["filterText"]) == (code, code)
    assert entry["labelDetails"] == {"description": "Umbrella"}
    assert entry["textEdit"] == {
        "range": {"start": {"line": 0, "character": 14}, "end": {"line": 0, "character": 16}},
        "newText": code,
    }
    assert entry["documentation"] == {"kind": "markdown", "value": f"````python\n{code}\n````"}
    assert (entry["insertTextFormat"], entry["insertTextMode"]) == (1, 1)  # text, as it is
    assert entry["sortText"] < "0"
    assert entry["command"]["command"] == "umbrella.accepted"
    command = {key: entry["command"][key] for key in ("command", "arguments")}
    await editor.request("workspace/executeCommand", command)
    assert (await editor.request("umbrella/stats", None))["accepted"] == 1


async def test_other_shapes_of_entries(common: Editors) -> None:
    editor = await common.begin(options=ON)
    editor.open(URI, "call()\nlong = \ndef f():\nnothing\n# block\n")
    (replacing,) = (await menu(editor, 0, 5))["items"]
    assert replacing["textEdit"]["newText"] == "a)"
    assert replacing["textEdit"]["range"]["end"] == {"line": 0, "character": 6}
    (long,) = (await menu(editor, 1, 7))["items"]
    assert long["label"] == LONG[:59] + "…"
    assert len(long["textEdit"]["newText"]) > 60
    (block,) = (await menu(editor, 2, 8))["items"]
    assert block["label"] == "return 1"
    assert block["textEdit"]["newText"] == "\n    return 1"
    (lines,) = (await menu(editor, 5, 0))["items"]
    assert (lines["label"], lines["labelDetails"]["detail"]) == ("if a:", " +3 lines")
    assert await menu(editor, 3, 7) == {"isIncomplete": True, "items": []}


async def test_editors_that_take_the_abilities_once(common: Editors) -> None:
    editor = await common.start()
    capabilities = await editor.initialize(options=ON)
    assert "." in capabilities["completionProvider"]["triggerCharacters"]
    await editor.ready()
    editor.open(URI, "call(")
    assert (await menu(editor, 0, 5))["items"]
    off: Message = {"umbrella": {"completion": {"menu": False}}}
    editor.notify("workspace/didChangeConfiguration", {"settings": off})
    assert await menu(editor, 0, 5) == {"isIncomplete": False, "items": []}
    late = await common.begin()
    late.notify("workspace/didChangeConfiguration", {"settings": {"umbrella": ON}})
    shown = await late.until(lambda sent: sent["method"] == "window/showMessage")
    assert "completion.menu" in shown["params"]["message"]


async def test_editors_that_take_changes(common: Editors) -> None:
    editor = await common.start()
    assert "completionProvider" not in await editor.initialize(DYNAMIC, options=ON)
    registration = await registered(editor)
    assert registration["method"] == "textDocument/completion"
    assert "." in registration["registerOptions"]["triggerCharacters"]
    await editor.ready()
    editor.open(URI, "call(")
    assert (await menu(editor, 0, 5))["items"]
    off: Message = {"umbrella": {"completion": {"menu": False}}}
    editor.notify("workspace/didChangeConfiguration", {"settings": off})
    gone = await registered(editor, "client/unregisterCapability")
    assert gone == {"id": registration["id"], "method": registration["method"]}
    assert (await menu(editor, 0, 5))["items"] == []
    editor.notify("workspace/didChangeConfiguration", {"settings": {"umbrella": ON}})
    assert await registered(editor) == registration
    assert (await menu(editor, 0, 5))["items"]


async def test_the_newest_of_each_kind_wins(tmp_path: Any) -> None:
    async with editors(tmp_path, {"default": "slow " * 500, "step_ms": 20}) as world:
        long: Message = {"max_tokens": 2000, "max_lines": 200, "menu": True}
        editor = await world.begin(options={"completion": long})
        editor.open(URI, "x = 1\n")
        older = editor.ask("textDocument/completion", asked(0, 5))
        newer = editor.ask("textDocument/completion", asked(0, 5))
        assert (await older)["result"] == {"isIncomplete": True, "items": []}
        params = asked(0, 5, context={"triggerKind": 2})
        inline = editor.ask("textDocument/inlineCompletion", params)
        stats = await editor.request("umbrella/stats", None)
        assert stats["reasons"] == {"superseded": 1}
        assert not newer.done()
        editor.type(URI, 2, 0, 5, "0")
        assert (await newer)["result"]["items"] == (await inline)["result"]["items"] == []
        cancelled = editor.ask("textDocument/completion", asked(0, 6), identity="menu")
        editor.notify("$/cancelRequest", {"id": "menu"})
        reply = await asyncio.wait_for(cancelled, 20)
        assert reply["error"]["code"] == -32800
