"""Our own `umbrella/*` methods, and the names that editors know from Copilot's server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.editor import Editor, Editors, Message, Refused, at, editors, one_daemon

pytestmark = pytest.mark.e2e

URI = "file:///project/main.py"
SCRIPT: Message = {"answers": [{"ends_with": "def ad", "text": "d(😋, b):"}]}
UNFIT: list[object] = [None, [], [1], {}, {"item": 3}, {"item": {"insertText": 3}}, {"item": None}]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editors]:
    with one_daemon(tmp_path_factory.mktemp("lsp"), SCRIPT) as world:
        yield world


@pytest.fixture
async def common(shared: Editors) -> AsyncIterator[Editors]:
    yield shared
    await shared.leave()


async def stats(editor: Editor) -> dict[str, Any]:
    return dict(await editor.request("umbrella/stats", None))


def kinds(editor: Editor) -> list[str]:
    return [
        sent["params"]["kind"] for sent in editor.received if sent["method"] == "didChangeStatus"
    ]


async def test_what_becomes_of_an_item_is_counted(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "def ad")
    (item,) = await editor.complete(URI, 0, 6)
    for _ in range(2):
        editor.notify("textDocument/didShowCompletion", {"item": item})
    for length in (1, 4, 4, 2, 7):  # UTF-16, from the start; the fifth unit is within no character
        params = {"item": item, "acceptedLength": length}
        editor.notify("textDocument/didPartiallyAcceptCompletion", params)
    counts = {
        "requests": 1,
        "shown": 1,
        "reasons": {},
        "displayed": 1,
        "accepted": 0,
        "partially_accepted": 1,
        "accepted_characters": 6,
        "min_confidence": 0.02,
    }
    assert await stats(editor) == counts
    command = {key: item["command"][key] for key in ("command", "arguments")}
    await editor.request("workspace/executeCommand", command)
    counts |= {"accepted": 1, "accepted_characters": len(item["insertText"])}
    assert await stats(editor) == counts
    await editor.request("workspace/executeCommand", command)
    editor.notify("textDocument/didPartiallyAcceptCompletion", params)
    counts |= {"accepted": 2, "partially_accepted": 2, "accepted_characters": 22}
    assert await stats(editor) == counts


async def test_what_makes_no_sense_counts_nothing(common: Editors) -> None:
    editor = await common.begin()
    before = await stats(editor)
    for name in ("didShowCompletion", "didPartiallyAcceptCompletion", "didFocus"):
        for params in UNFIT:
            editor.notify(f"textDocument/{name}", params)
    item = {"insertText": "text"}
    for length in (None, "1", 0, -1, 1.5):
        params = {"item": item, "acceptedLength": length}
        editor.notify("textDocument/didPartiallyAcceptCompletion", params)
    assert await stats(editor) == before
    strange: list[object] = [None, [], ["x", "y"], [{}, None]]
    for arguments in strange:
        command = {"command": "umbrella.accepted", "arguments": arguments}
        await editor.request("workspace/executeCommand", command)
    assert await stats(editor) == before | {"accepted": 4}


async def test_traces(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "def ad")
    for _ in range(3):
        await editor.complete(URI, 0, 6)
    traces = (await editor.request("umbrella/trace", {"traces": 2}))["traces"]
    assert [trace["document"] for trace in traces] == ["main.py", "main.py"]
    assert traces[-1]["ms"]["total"] > 0
    unfit: list[object] = [None, [], {}, {"traces": "2"}]
    for params in unfit:
        assert len((await editor.request("umbrella/trace", params))["traces"]) >= 3, params
    assert await editor.request("umbrella/trace", {"traces": -1}) == {"traces": []}


async def test_a_window_is_switched_off_and_on(common: Editors) -> None:
    editor, other = await common.begin(), await common.begin()
    editor.open(URI, "def ad")
    other.open(URI, "def ad")
    state = await editor.request("umbrella/toggle", None)
    assert state == {"enabled": False, "disabled_languages": []}
    told = await editor.until(lambda sent: sent["params"].get("phase") == "paused")
    assert told["params"]["reason"] == "disabled"
    assert await editor.complete(URI, 0, 6) == []
    assert await other.complete(URI, 0, 6)
    editor.received.clear()
    assert (await editor.request("umbrella/toggle", {}))["enabled"]
    await editor.ready()
    assert await editor.complete(URI, 0, 6)


async def test_a_language_is_switched_off_and_on(common: Editors) -> None:
    editor = await common.begin(options={"completion": {"disabled_languages": ["lua"]}})
    editor.open(URI, "def ad")
    state = await editor.request("umbrella/toggle", {"language": "python"})
    assert state == {"enabled": True, "disabled_languages": ["lua", "python"]}
    assert await editor.complete(URI, 0, 6) == []
    unfit: list[object] = [3, [], {"python": True}]
    for language in unfit:
        with pytest.raises(Refused) as refused:
            await editor.request("umbrella/toggle", {"language": language})
        assert refused.value.code == -32602
    state = await editor.request("umbrella/toggle", {"language": "python"})
    assert state["disabled_languages"] == ["lua"]
    assert await editor.complete(URI, 0, 6)


async def test_a_switch_lasts_until_its_setting_changes(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "def ad")
    await editor.request("umbrella/toggle", {"language": "python"})
    pushed: Message = {"completion": {"max_lines": 3}}
    editor.notify("workspace/didChangeConfiguration", {"settings": {"umbrella": pushed}})
    assert await editor.complete(URI, 0, 6) == []
    pushed["completion"]["disabled_languages"] = ["lua"]
    editor.notify("workspace/didChangeConfiguration", {"settings": {"umbrella": pushed}})
    assert await editor.complete(URI, 0, 6)


async def test_switching_off_ends_what_runs_and_on_starts_a_daemon(tmp_path: Any) -> None:
    async with editors(tmp_path, {"default": "slow " * 500, "step_ms": 20}) as world:
        editor = await world.start()
        await editor.initialize(options={"completion": {"enabled": False, "max_tokens": 2000}})
        told = await editor.until(lambda sent: sent["method"] == "umbrella/status")
        assert told["params"]["phase"] == "paused"
        assert (await editor.status())["daemon"] is None
        editor.notify("textDocument/didFocus", {"textDocument": {"uri": URI}})
        assert (await editor.request("umbrella/trace", None)) == {"traces": []}
        await editor.request("umbrella/toggle", None)
        await editor.ready()
        editor.open(URI, "x = 1")
        reply = editor.ask("textDocument/inlineCompletion", at(URI, 0, 5))
        await stats(editor)  # answered later than the request before it was begun
        await editor.request("umbrella/toggle", None)
        assert (await asyncio.wait_for(reply, 20))["result"] == {"items": []}
        assert (await stats(editor))["reasons"] == {"superseded": 1}


async def test_focus_starts_a_daemon_that_has_gone(tmp_path: Any) -> None:
    async with editors(tmp_path) as world:
        editor = await world.begin()
        pid = (await editor.status())["daemon"]["pid"]
        await asyncio.to_thread(stop, pid)
        await editor.status(lambda status: status["daemon"] is None)
        editor.notify("textDocument/didFocus", {"textDocument": {"uri": URI}})
        status = await editor.status(lambda status: status["daemon"] is not None)
        assert status["daemon"]["pid"] != pid


def stop(pid: int) -> None:
    import psutil

    process = psutil.Process(pid)
    process.terminate()
    process.wait(20)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_copilots_status_for_who_asks(common: Editors, wrapped: bool) -> None:
    options: Message = {"editor": {"copilotStatus": True}}
    editor = await common.begin(options={"umbrella": options} if wrapped else options)
    first = await editor.until(lambda sent: sent["method"] == "didChangeStatus")
    assert first["params"]["busy"]
    assert first["params"]["kind"] == "Normal"
    await editor.until(
        lambda sent: sent["method"] == "didChangeStatus" and not sent["params"]["busy"]
    )
    await editor.request("umbrella/toggle", None)
    assert kinds(editor)[-1] == "Inactive"
    await editor.request("umbrella/toggle", None)
    assert kinds(editor)[-1] == "Normal"
    assert [sent["method"] for sent in editor.received].count("umbrella/status") == len(
        kinds(editor)
    )


async def test_copilots_status_of_a_failure(tmp_path: Any) -> None:
    async with editors(tmp_path, {"fail": "the weights are gone"}) as world:
        editor = await world.start()
        await editor.initialize(options={"editor": {"copilotStatus": True}})
        told = await editor.until(lambda sent: sent["params"].get("kind") == "Error")
        assert not told["params"]["busy"]
        assert "the weights are gone" in told["params"]["message"]


@pytest.mark.parametrize("options", [None, {"editor": {"copilotStatus": "yes"}}, {"editor": 3}])
async def test_copilots_status_for_nobody_else(common: Editors, options: object) -> None:
    editor = await common.begin(options=options)
    await stats(editor)
    assert kinds(editor) == []


async def test_small_things_are_quiet(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "def ad")
    assert await editor.complete(URI, 0, 6)
    for identity in (1, 999, "never"):
        editor.notify("$/cancelRequest", {"id": identity})
    folder = {"uri": "file:///project", "name": "project"}
    for event in ({"added": [folder], "removed": []}, {"added": [], "removed": [folder, folder]}):
        editor.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    editor.notify("workspace/didChangeWorkspaceFolders", {"event": None})
    editor.notify("textDocument/didSave", {"textDocument": {"uri": URI}})
    assert await editor.complete(URI, 0, 6)
    editor.notify("textDocument/didSave", {"textDocument": {"uri": URI}, "text": "nothing"})
    assert await editor.complete(URI, 0, 6)  # the text of the file counts, its place is clamped
    for _ in range(2):
        editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert await editor.complete(URI, 0, 6) == []
    assert (await stats(editor))["reasons"] == {"no-document": 1}
    said = {"window/showMessage", "window/logMessage"}
    assert said.isdisjoint(sent["method"] for sent in editor.received)
