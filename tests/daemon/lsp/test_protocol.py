import asyncio
import json
from typing import Any

import pytest

from umbrella_daemon.lsp.features import register
from umbrella_daemon.lsp.language_server import UmbrellaServer
from umbrella_daemon.wire import Phase

URI = "file:///a"


class Sent:
    """A writer that keeps the bodies."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []

    def write(self, data: bytes) -> None:
        self.bodies.append(json.loads(data.partition(b"\r\n\r\n")[2]))

    def close(self) -> None:
        pass


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def server(sent: Sent) -> UmbrellaServer:
    server = UmbrellaServer()
    register(server)
    server.protocol.set_writer(sent)
    receive(server, method="initialize", id=0, params={"capabilities": {}})
    sent.bodies.clear()
    return server


def receive(server: UmbrellaServer, **message: Any) -> None:
    server.protocol.receive(json.dumps({"jsonrpc": "2.0"} | message).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 200_000,
        b"[]",
        b"3",
        b"null",
        b"{}",
        b'{"jsonrpc": "1.0", "id": 1, "method": "shutdown"}',
        b'{"jsonrpc": "2.0"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": 3}',
        b'{"jsonrpc": "2.0", "id": 1.5, "method": "shutdown"}',
        b'{"jsonrpc": "2.0", "id": true, "method": "shutdown"}',
        b'{"jsonrpc": "2.0", "id": null, "method": "shutdown"}',
        b'{"jsonrpc": "2.0", "id": {}, "result": 1}',
    ],
)
def test_what_is_no_message_is_refused(server: UmbrellaServer, sent: Sent, body: bytes) -> None:
    server.protocol.receive(body)
    (answer,) = sent.bodies
    assert answer["id"] is None
    assert answer["error"]["code"] in (-32700, -32600)


def test_the_refusal_names_what_does_not_fit(server: UmbrellaServer, sent: Sent) -> None:
    params = {"textDocument": {"uri": URI}, "position": {"line": "one", "character": 0}}
    receive(server, method="textDocument/inlineCompletion", id="x", params=params)
    (answer,) = sent.bodies
    assert (answer["id"], answer["error"]["code"]) == ("x", -32602)
    assert "one" in answer["error"]["message"]


def test_an_answer_that_comes_too_late(server: UmbrellaServer, sent: Sent) -> None:
    question = server.protocol.send_request("workspace/configuration", {"items": []}, msg_id="q")
    question.cancel()
    receive(server, id="q", result=[None])
    receive(server, id="q", result=[None])
    receive(server, method="shutdown", id=1)
    assert sent.bodies[-1] == {"jsonrpc": "2.0", "id": 1, "result": None}


def test_a_cancellation_that_comes_too_late(
    server: UmbrellaServer, sent: Sent, caplog: pytest.LogCaptureFixture
) -> None:
    receive(server, method="$/cancelRequest", params={"id": 0})
    assert sent.bodies == []
    assert caplog.records == []


def test_an_answer_that_does_not_fit_ends_the_wait(server: UmbrellaServer) -> None:
    question = server.protocol.send_request("workspace/configuration", {"items": []}, msg_id="q")
    receive(server, id="q", result=7)
    assert question.exception(timeout=0) is not None


def test_an_editor_that_answers_with_an_error(server: UmbrellaServer) -> None:
    question = server.protocol.send_request("workspace/configuration", {"items": []}, msg_id="q")
    receive(server, id="q", error={"code": -32601, "message": "unknown"})
    assert "unknown" in str(question.exception(timeout=0))


async def test_an_editor_that_refuses_progress_bars(server: UmbrellaServer, sent: Sent) -> None:
    showing = asyncio.create_task(server.bars.run())
    server.bars.show(Phase("loading", "weights", 5))
    for _ in range(3):  # turns of the loop, until it has asked
        await asyncio.sleep(0)
    (asked,) = sent.bodies
    assert asked["method"] == "window/workDoneProgress/create"
    receive(server, id=asked["id"], error={"code": -32601, "message": "unknown"})
    await asyncio.wait_for(showing, 10)
    assert len(sent.bodies) == 1


def test_changes_are_announced(server: UmbrellaServer) -> None:
    announced: list[str] = []
    server.protocol.changed = announced.append
    item = {"uri": URI, "languageId": "", "version": 1, "text": "a"}
    document = {"uri": URI, "version": 2}
    receive(server, method="textDocument/didOpen", params={"textDocument": item})
    for text in ("a", "b"):
        params: dict[str, Any] = {"textDocument": document, "contentChanges": [{"text": text}]}
        receive(server, method="textDocument/didChange", params=params)
    for saved in (None, "b", "c"):
        params = {"textDocument": {"uri": URI}, "text": saved}
        receive(server, method="textDocument/didSave", params=params)
    found = server.protocol.documents.get(URI)
    assert found is not None
    assert found.lines == ["c"]
    receive(server, method="textDocument/didClose", params={"textDocument": {"uri": URI}})
    assert announced == [URI] * 4  # opened, "b", "c", closed
    assert server.protocol.documents.get(URI) is None
