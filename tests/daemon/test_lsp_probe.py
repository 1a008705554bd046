import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from umbrella_daemon import lsp_probe
from umbrella_daemon.lsp_probe import LanguageServer, Position, ProbeError

Server = Callable[[str], None]
ANSWER = """
def read():
    header = sys.stdin.buffer.readline()
    sys.stdin.buffer.readline()
    return json.loads(sys.stdin.buffer.read(int(header.split(b":")[1])))

def write(**message):
    body = json.dumps({"jsonrpc": "2.0"} | message).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
    sys.stdout.buffer.flush()
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Put a program in the place of `umbrella-lsp`."""

    def install(code: str) -> None:
        path = tmp_path / "umbrella-lsp"
        path.write_text(f"#!{sys.executable}\nimport json, signal, sys, time\n{ANSWER}\n{code}\n")
        path.chmod(0o755)
        monkeypatch.setattr(lsp_probe, "command", lambda: str(path))

    return install


async def test_requests_of_the_server_are_answered_and_notifications_told(server: Server) -> None:
    server(
        "asked = read()\n"
        "write(method='$/progress', params={'value': 1})\n"
        "write(id='s1', method='window/workDoneProgress/create', params={'token': 't'})\n"
        "reply = read()\n"
        "write(id=asked['id'], result={'reply': reply, 'params': asked['params']})\n"
        "write(id=read()['id'], result=None)\n"
    )
    told: list[object] = []
    probe = await LanguageServer.start(lambda method, params: told.append((method, params)))
    result = await probe.request("hello", {"at": Position(1, 2)})
    assert result == {
        "reply": {"jsonrpc": "2.0", "id": "s1", "result": None},
        "params": {"at": {"line": 1, "character": 2}},
    }
    assert told == [("$/progress", {"value": 1})]
    await probe.close()


async def test_an_error_is_raised(server: Server) -> None:
    server("write(id=read()['id'], error={'code': -32602, 'message': 'no such place'}); read()")
    probe = await LanguageServer.start()
    with pytest.raises(ProbeError, match="no such place"):
        await probe.request("hello", {})
    await probe.close()


async def test_a_server_that_ends_is_quoted(server: Server) -> None:
    server("read(); sys.exit('a module is missing')")
    probe = await LanguageServer.start()
    for _ in range(2):  # the pending request, and one that comes later
        with pytest.raises(ProbeError, match=r"umbrella-lsp ended\. a module is missing"):
            await probe.request("hello", {})
    await probe.close()


async def test_what_is_not_the_protocol_is_named(server: Server) -> None:
    server("read(); print('debugging', end='\\r\\n\\r\\n', flush=True); read()")
    probe = await LanguageServer.start()
    with pytest.raises(ProbeError, match="does not speak the protocol"):
        await probe.request("hello", {})
    await probe.close()


async def test_silence_has_a_deadline_and_an_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lsp_probe, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(lsp_probe, "EXIT_SECONDS", 0.1)
    server("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: read()")
    probe = await LanguageServer.start()
    with pytest.raises(ProbeError, match=r"did not answer hello in 0\.1 s"):
        await probe.request("hello", {})
    async with asyncio.timeout(20):
        await probe.close()  # by force


def test_a_missing_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProbeError, match="there is no umbrella-lsp beside"):
        lsp_probe.command()


def test_the_command_beside_this_python_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, elsewhere = tmp_path / "a" / "umbrella-lsp", tmp_path / "b" / "umbrella-lsp"
    for path in (beside, elsewhere):
        path.parent.mkdir()
        path.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "b"))
    assert lsp_probe.command() == str(beside)
    beside.unlink()
    assert lsp_probe.command() == str(elsewhere)
