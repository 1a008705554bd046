"""The language server as editors meet it: real processes, a real daemon, canned answers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editor import SERVER, Editor, Editors, Message, Refused, at, editors, one_daemon

pytestmark = pytest.mark.e2e

URI = "file:///project/main.py"
SCRIPT: Message = {
    "answers": [
        {"ends_with": "def ad", "text": "d(a, b):"},
        {"ends_with": "print", "text": "(1)"},
        {"ends_with": "slowly", "text": " and surely" * 400},
    ],
    "default": "scripted",
}
SLOW: Message = {"default": "slow " * 500, "step_ms": 20}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editors]:
    """Editors whose daemon serves all tests of this module that need nothing special of it."""
    with one_daemon(tmp_path_factory.mktemp("lsp"), SCRIPT) as world:
        yield world


@pytest.fixture
async def common(shared: Editors) -> AsyncIterator[Editors]:
    """Editors of the shared daemon, which leave at the end of the test."""
    yield shared
    await shared.leave()


def position(line: int, character: int) -> Message:
    return {"line": line, "character": character}


def span(line: int, start: int, end: int) -> Message:
    return {"start": position(line, start), "end": position(line, end)}


async def reasons(editor: Editor) -> dict[str, int]:
    """Why this editor was shown nothing, so far."""
    return dict((await editor.status())["reasons"])


async def daemon(editor: Editor) -> Message:
    """What the daemon says of itself."""
    return dict((await editor.status())["daemon"])


async def test_what_is_advertised(common: Editors) -> None:
    editor = await common.start()
    capabilities = await editor.initialize()
    assert capabilities["inlineCompletionProvider"] == {}
    assert capabilities["executeCommandProvider"]["commands"] == ["umbrella.accepted"]
    assert capabilities["positionEncoding"] == "utf-16"
    sync = capabilities["textDocumentSync"]
    assert (sync["openClose"], sync["change"]) == (True, 2)


async def test_a_completion_and_its_acceptance(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "x = 1\ndef a\n")
    editor.type(URI, 2, 1, 5, "d")
    (item,) = await editor.complete(URI, 1, 6)
    assert item["insertText"] == "d(a, b):"
    assert item["range"] == span(1, 6, 6)
    command = {key: item["command"][key] for key in ("command", "arguments")}
    await editor.request("workspace/executeCommand", command)
    status = await editor.status()
    counts = {key: status[key] for key in ("requests", "shown", "accepted", "reasons", "phase")}
    assert counts == {"requests": 1, "shown": 1, "accepted": 1, "reasons": {}, "phase": "ready"}
    assert status["daemon"]["pair"].startswith("scripted")
    assert status["daemon"]["phase"].keys() == {"phase", "message", "percent"}


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 18), ("utf-16", 16), ("utf-32", 15)])
async def test_columns_in_the_editors_unit(common: Editors, encoding: str, column: int) -> None:
    editor = await common.begin(encoding=encoding)
    editor.open(URI, "a = '😋'; def aX\n")
    change = {"range": span(0, column - 1, column), "text": "d"}
    document = {"uri": URI, "version": 2}
    params = {"textDocument": document, "contentChanges": [change]}
    editor.notify("textDocument/didChange", params)
    (item,) = await editor.complete(URI, 0, column)
    assert item["insertText"] == "d(a, b):"
    assert item["range"] == span(0, column, column)


async def test_a_selected_menu_item(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "pr\n")
    selected = {"range": span(0, 0, 2), "text": "print"}
    params = at(URI, 0, 2, selectedCompletionInfo=selected)
    (item,) = (await editor.request("textDocument/inlineCompletion", params))["items"]
    assert (item["insertText"], item["range"]) == ("print(1)", span(0, 0, 2))


async def test_bad_input_gets_an_answer_each(common: Editors, tmp_path: Path) -> None:
    (tmp_path / "disk.py").write_text("def ad")
    (tmp_path / "binary.bin").write_bytes(bytes(range(256)) * 40)
    (tmp_path / ".env").write_text("KEY=secret")
    disk, binary, env, gone = (
        (tmp_path / name).as_uri() for name in ("disk.py", "binary.bin", ".env", "gone.py")
    )
    editor = await common.begin()
    editor.open("file:///nul", "\0\0\0")
    editor.open("file:///huge", "x = 1\n" * 3_500_000)
    editor.open("file:///lone", "a = '\ud83d'\ndef ad")
    editor.open("file:///crlf", "a = 1\r\ndef ad\r\nb")
    editor.open("file:///empty", "")
    editor.open("file:///strange", "def ad", language="no-such-language")
    shown = {
        "lone": ("file:///lone", 1, 6),
        "crlf": ("file:///crlf", 1, 6),
        "beyond the line": ("file:///crlf", 1, 600),
        "strange": ("file:///strange", 0, 6),
        "beyond the file": ("file:///strange", 60, 0),
        "disk": (disk, 0, 6),
    }
    for name, where in shown.items():
        items = await editor.complete(*where)
        assert [item["insertText"] for item in items] == ["d(a, b):"], name
    assert await editor.complete("file:///empty", 0, 0)
    silent = [binary, env, gone, "untitled:never", "file:///nul", "file:///huge"]
    for uri in silent:
        assert await editor.complete(uri, 0, 0) == [], uri
    assert await reasons(editor) == {
        "binary": 2,
        "excluded": 1,
        "no-document": 2,
        "too-large": 1,
    }


async def test_malformed_messages_get_an_answer_each(common: Editors) -> None:
    editor = await common.begin()
    uri = {"uri": URI}
    unfit: list[object] = [
        None,
        {},
        [],
        {"textDocument": uri},
        {"textDocument": uri, "position": position(0, -1)},
        {"textDocument": uri, "position": {"line": "0"}},
        {"textDocument": 3, "position": position(0, 0)},
        {"textDocument": uri, "position": position(0, 0), "context": None},
    ]
    for params in unfit:
        with pytest.raises(Refused) as refused:
            await editor.request("textDocument/inlineCompletion", params)
        assert refused.value.code == -32602, params
    with pytest.raises(Refused) as refused:
        await editor.request("no/such/method", {})
    assert refused.value.code == -32601
    with pytest.raises(Refused) as refused:
        await editor.request("workspace/executeCommand", {"command": "no.such.command"})
    assert refused.value.code == -32602
    raw = {b"{not json": -32700, b"[]": -32600, b'{"id": 1}': -32600, b"\xff\xfe": -32700}
    for body, code in raw.items():
        assert (await editor.reply_to(body, None))["error"]["code"] == code, body
    editor.notify("textDocument/didChange", {"unfit": True})
    editor.notify("no/such/notification", None)
    editor.send({"jsonrpc": "2.0", "id": "never-asked", "result": None})
    editor.open(URI, "def ad")
    for kind in ({"triggerKind": 0}, {"triggerKind": 9}, {}):
        params = at(URI, 0, 6) | {"context": kind}
        assert (await editor.request("textDocument/inlineCompletion", params))["items"], kind


async def test_order_of_a_session(common: Editors) -> None:
    editor = await common.start()
    with pytest.raises(Refused) as refused:
        await editor.request("textDocument/inlineCompletion", at(URI, 0, 0))
    assert refused.value.code == -32002
    await editor.initialize()
    with pytest.raises(Refused) as refused:
        await editor.initialize()
    assert refused.value.code == -32600
    assert await editor.request("shutdown", None) is None
    with pytest.raises(Refused) as refused:
        await editor.request("textDocument/inlineCompletion", at(URI, 0, 0))
    assert refused.value.code == -32600
    editor.notify("exit", None)
    assert await editor.ended() == 0


async def test_exit_without_shutdown(common: Editors) -> None:
    editor = await common.start()
    await editor.initialize()
    editor.notify("exit", None)
    assert await editor.ended() == 1


async def test_the_editor_closes_its_pipes(common: Editors) -> None:
    editor = await common.start()
    await editor.initialize()
    assert editor.process.stdin is not None
    editor.process.stdin.close()
    assert await editor.ended() == 1


@pytest.mark.parametrize("told_by", ["argument", "initialize"])
async def test_the_editor_dies_and_leaves_the_pipes_open(common: Editors, told_by: str) -> None:
    other = await asyncio.create_subprocess_exec("sleep", "60")
    argument = [f"--clientProcessId={other.pid}"] if told_by == "argument" else []
    editor = await common.start(*SERVER, *argument)
    await editor.initialize(processId=other.pid if told_by == "initialize" else None)
    assert await editor.request("umbrella/status", None)
    other.kill()
    await other.wait()
    assert await editor.ended() == 1


async def test_what_is_printed_does_not_reach_the_editor(common: Editors) -> None:
    noisy = (
        "import subprocess, sys\n"
        "from umbrella_daemon.lsp import features, server\n"
        "items = features.items\n"
        "def shout(*arguments):\n"
        "    print('stray', flush=True)\n"
        "    subprocess.run(['echo', 'stray'], check=True)\n"
        "    return items(*arguments)\n"
        "features.items = shout\n"
        "sys.exit(server.main(['--stdio']))\n"
    )
    editor = await common.start(sys.executable, "-c", noisy)
    await editor.initialize()
    await editor.ready()
    editor.open(URI, "def ad")
    for _ in range(2):
        assert await editor.complete(URI, 0, 6)


async def test_a_language_is_switched_off_and_on_while_running(common: Editors) -> None:
    editor = await common.begin(options={"completion": {"disabled_languages": ["python"]}})
    editor.open(URI, "def ad")
    assert await editor.complete(URI, 0, 6) == []
    assert await reasons(editor) == {"disabled": 1}
    told = await editor.until(lambda sent: sent["params"].get("reason") == "disabled")
    assert told["method"] == "umbrella/status"
    pushed: Message = {"umbrella": {"completion": {"disabled_languages": []}}}
    editor.notify("workspace/didChangeConfiguration", {"settings": pushed})
    assert await editor.complete(URI, 0, 6)


async def test_settings_are_asked_for(common: Editors) -> None:
    settings: Message = {"completion": {"enabled": False}}
    editor = await common.start()
    editor.answers["workspace/configuration"] = lambda params: [settings]
    workspace = {"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}}
    await editor.initialize({"workspace": workspace})
    asked = await editor.until(lambda sent: sent["method"] == "client/registerCapability")
    (registration,) = asked["params"]["registrations"]
    assert registration["method"] == "workspace/didChangeConfiguration"
    asked = await editor.until(lambda sent: sent["method"] == "workspace/configuration")
    assert asked["params"]["items"] == [{"section": "umbrella"}]
    editor.open(URI, "def ad")
    assert await editor.complete(URI, 0, 6) == []
    settings["completion"]["enabled"] = True
    editor.notify("workspace/didChangeConfiguration", {"settings": None})
    # the editor's answer comes after the first request that follows
    async with asyncio.timeout(20):
        while not await editor.complete(URI, 0, 6):
            pass


async def test_settings_that_cannot_be_used_are_reported(common: Editors) -> None:
    editor = await common.begin(options={"completion": {"max_linse": 3}})
    shown = await editor.until(lambda sent: sent["method"] == "window/showMessage")
    assert "did you mean completion.max_lines" in shown["params"]["message"]
    editor.open(URI, "def ad")
    assert await editor.complete(URI, 0, 6)


async def test_settings_of_the_daemon_need_a_new_one(common: Editors) -> None:
    editor = await common.begin()
    pushed = {"umbrella": {"engine": {"threads": 3}}}
    editor.notify("workspace/didChangeConfiguration", {"settings": pushed})
    shown = await editor.until(lambda sent: sent["method"] == "window/showMessage")
    assert "engine" in shown["params"]["message"]
    assert "umbrella stop" in shown["params"]["message"]
    editor.open(URI, "def ad")
    assert await editor.complete(URI, 0, 6)


async def test_traces(common: Editors) -> None:
    editor = await common.begin(trace="verbose")
    editor.open(URI, "def ad")
    await editor.complete(URI, 0, 6)
    sent = await editor.until(lambda sent: sent["method"] == "$/logTrace")
    assert f"{URI}:1:7: 8 characters" in sent["params"]["message"]
    assert json.loads(sent["params"]["verbose"])["prompt_tokens"] > 0
    editor.notify("$/setTrace", {"value": "off"})
    editor.received.clear()
    await editor.complete(URI, 0, 6)
    assert "$/logTrace" not in [sent["method"] for sent in editor.received]


async def test_reasons_are_logged_at_debug(common: Editors) -> None:
    editor = await common.start(*SERVER, "--log-level=debug")
    await editor.initialize()
    assert await editor.complete("untitled:never", 0, 0) == []
    sent = await editor.until(lambda sent: sent["method"] == "window/logMessage")
    assert sent["params"]["type"] == 5
    assert "no-document" in sent["params"]["message"]


async def test_two_editors_have_one_daemon(common: Editors) -> None:
    one, other = await common.begin(), await common.begin()
    assert (await daemon(one))["pid"] == (await daemon(other))["pid"]


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Editor]:
    """An editor whose daemon takes seconds for an answer."""
    async with editors(tmp_path, SLOW) as world:
        editor = await world.begin(options={"completion": {"max_tokens": 2000, "max_lines": 200}})
        editor.open(URI, "x = 1\n")
        yield editor


async def stopped_early(editor: Editor, reason: str) -> None:
    """Wait until the daemon has noted why it stopped, long before the answer was whole."""
    status = await editor.status(lambda status: reason in status["daemon"]["reasons"])
    (trace,) = [trace for trace in status["daemon"]["traces"] if trace["reason"] == reason]
    assert trace["generated_tokens"] < 1000


async def test_a_cancelled_request(slow: Editor) -> None:
    reply = slow.ask("textDocument/inlineCompletion", at(URI, 0, 5), identity="slow-one")
    slow.notify("$/cancelRequest", {"id": "slow-one"})
    assert (await reply)["error"]["code"] == -32800
    await stopped_early(slow, "cancelled")
    assert await reasons(slow) == {"cancelled": 1}


async def test_a_newer_request_supersedes(slow: Editor) -> None:
    older = slow.ask("textDocument/inlineCompletion", at(URI, 0, 5))
    newer = slow.ask("textDocument/inlineCompletion", at(URI, 0, 5))
    assert (await older)["result"] == {"items": []}
    assert not newer.done()
    await stopped_early(slow, "superseded")
    slow.type(URI, 2, 0, 5, "0")
    assert (await newer)["result"] == {"items": []}
    assert await reasons(slow) == {"superseded": 2}


async def test_a_change_of_nothing_supersedes_nothing(slow: Editor) -> None:
    reply = slow.ask("textDocument/inlineCompletion", at(URI, 0, 5))
    slow.type(URI, 2, 0, 5, "")
    slow.open("file:///other", "")
    assert await reasons(slow) == {}
    assert not reply.done()
    slow.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert (await reply)["result"] == {"items": []}


async def test_the_daemon_is_killed_in_mid_request(slow: Editor) -> None:
    pid = (await daemon(slow))["pid"]
    reply = slow.ask("textDocument/inlineCompletion", at(URI, 0, 5))
    await slow.status()  # the daemon has the request then: it answers in order
    os.kill(pid, signal.SIGKILL)
    assert (await reply)["result"] == {"items": []}
    assert await reasons(slow) == {"daemon-lost": 1}
    again = slow.ask("textDocument/inlineCompletion", at(URI, 0, 5))
    status = await slow.status(lambda status: status["daemon"] is not None)
    assert status["daemon"]["pid"] != pid
    slow.type(URI, 2, 0, 5, "0")
    await again


async def test_loading_is_shown(tmp_path: Path) -> None:
    phases = [
        {"phase": "downloading", "message": f"{done} MB", "done": done, "total": 100}
        for done in (1, 50, 99)
    ]
    phases += [{"phase": "loading", "message": "weights", "done": 1, "total": 2}]
    script = {"phases": phases, "load_ms": 1200}
    async with editors(tmp_path, script) as world:
        editor = await world.start()
        await editor.initialize()
        editor.open(URI, "")
        await editor.until(lambda sent: sent["params"].get("phase") == "downloading")
        assert await editor.complete(URI, 0, 0) == []
        assert await reasons(editor) == {"loading": 1}
        await editor.until(lambda sent: sent["params"].get("reason") == "loading")
        await editor.ready()
        assert await editor.complete(URI, 0, 0)
        await editor.until(lambda sent: is_end(sent) and bar(sent) == bars(editor)[-1])
        download, load = bars(editor)
        assert shape(editor, download)[:2] == [("begin", 1), ("report", 50)]
        assert shape(editor, load) == [("begin", 50), ("end", None)]


def bar(sent: Message) -> Any:
    return sent["params"].get("token")


def is_end(sent: Message) -> bool:
    return "$/progress" in sent["method"] and "end" in sent["params"]["value"]["kind"]


def bars(editor: Editor) -> list[Any]:
    """Tokens of the progress bars, in the order in which they were created."""
    created = "window/workDoneProgress/create"
    return [bar(sent) for sent in editor.received if sent["method"] == created]


def shape(editor: Editor, token: object) -> list[tuple[str, int | None]]:
    """What a bar went through: kinds and percentages."""
    values = [
        sent["params"]["value"]
        for sent in editor.received
        if sent["method"] == "$/progress" and bar(sent) == token
    ]
    return [(value["kind"], value.get("percentage")) for value in values]


async def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    async with editors(tmp_path, {"fail": "the weights are gone"}) as world:
        editor = await world.start()
        await editor.initialize({})  # an editor without progress bars
        editor.open(URI, "")
        told = await editor.until(lambda sent: sent["params"].get("phase") == "failed")
        assert "the weights are gone" in told["params"]["message"]
        assert await editor.complete(URI, 0, 0) == []
        assert await reasons(editor) == {"failed": 1}
        assert bars(editor) == []


async def test_a_daemon_that_cannot_be_started(tmp_path: Path) -> None:
    async with editors(tmp_path) as world:
        editor = await world.start(UMBRELLA_DAEMON__SOCKET="/proc/none/d.sock")
        await editor.initialize()
        editor.open(URI, "")
        told = await editor.until(lambda sent: sent["params"].get("phase") == "failed")
        assert "/proc/none" in told["params"]["message"]
        assert await editor.complete(URI, 0, 0) == []


@pytest.mark.parametrize("way", ["--pipe", "--socket", "--tcp"])
async def test_other_ways_to_the_editor(common: Editors, tmp_path: Path, way: str) -> None:
    connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    connected = asyncio.get_running_loop().create_future()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set_result((reader, writer))

    address, listener = "127.0.0.1:0", None
    if way == "--pipe":
        address = str(tmp_path / "e.sock")
        listener = await asyncio.start_unix_server(accept, address)
    elif way == "--socket":
        listener = await asyncio.start_server(accept, "127.0.0.1", 0)
        address = str(listener.sockets[0].getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        SERVER[0], f"{way}={address}", env=common.environment, stderr=asyncio.subprocess.PIPE
    )
    if way == "--tcp":
        assert process.stderr is not None
        port = int((await process.stderr.readline()).rsplit(b":", 1)[1])
        connected.set_result(await asyncio.open_connection("127.0.0.1", port))
    reader, writer = await asyncio.wait_for(connected, 20)
    editor = Editor(reader, writer, process)
    assert (await editor.initialize())["inlineCompletionProvider"] == {}
    assert await editor.close() == 0
    if listener is not None:
        listener.close()


def test_pipes_are_needed() -> None:
    done = subprocess.run(SERVER, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"no pipes" in done.stderr


def test_the_server_stays_light() -> None:
    code = (
        "import sys, umbrella_daemon.lsp.server\n"
        "heavy = {'torch', 'transformers', 'numpy', 'umbrella_engine.engine'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
