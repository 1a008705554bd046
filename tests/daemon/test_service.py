import asyncio
import contextlib
import os
import re
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.daemons import SECONDS, Home, RawClient, complete, open_directory, until
from umbrella_daemon import __version__, wire
from umbrella_daemon.paths import lock_path, socket_path
from umbrella_daemon.resident import connection, service
from umbrella_daemon.resident.claim import Claim
from umbrella_daemon.resident.service import Service
from umbrella_daemon.settings import SettingsError
from umbrella_daemon.wire import Completed, Phase, Reason, Refused, Status

NESTED = b"\x83\xa1t\xa4Stop\xa2id\x01\xa1x" + b"\x91" * 2**16  # arrays in arrays


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    home = Home(tmp_path, monkeypatch)
    yield home
    await home.clear_up()


@contextlib.asynccontextmanager
async def served(home: Home) -> AsyncIterator[Service]:
    """Serve in this process until the block ends; fails when the daemon does not end then."""
    settings = home.settings
    claim = Claim(socket_path(settings), lock_path(settings))
    assert claim.take()
    resident = Service(settings, claim)
    serving = asyncio.create_task(resident.serve(claim.bind()))
    try:
        yield resident
    finally:
        resident.stop("the test is over")
        async with asyncio.timeout(SECONDS):
            await serving
        claim.release()
    assert not home.socket.exists()


async def status(client: RawClient, traces: int = 20) -> Status:
    client.send(wire.GetStatus(77, traces))
    found = await client.receive(Status)
    assert found.id == 77
    return found


async def test_a_request_is_completed_with_its_trace(home: Home) -> None:
    home.script(answers=[{"ends_with": "def ad", "text": "d(a, b):"}])
    async with served(home):
        client = await home.ready()
        client.send(complete(5))
        answer = await client.receive(Completed)
        assert (answer.id, answer.text, answer.reason) == (5, "d(a, b):", "")
        trace = answer.trace
        assert (trace.document, trace.version, trace.language) == ("a.py", 5, "python")
        assert trace.prompt_tokens == trace.reused_tokens + trace.prefilled_tokens > 0
        assert trace.generated_tokens > 0
        assert {"queue", "prompt", "generate", "postprocess", "total"} <= trace.ms.keys()
        assert trace.ms["total"] >= trace.ms["generate"]


async def test_limits_of_the_request_are_kept(home: Home) -> None:
    home.script(default="x" * 100)
    async with served(home):
        client = await home.ready()
        client.send(complete(1, "a = ", max_tokens=10))
        assert (await client.receive(Completed)).text == "x" * 10


async def test_status_tells_what_is_resident_and_what_was_asked(home: Home) -> None:
    home.script(answers=[{"ends_with": "x = ", "text": ""}], default="answer")
    async with served(home):
        client, other = await home.ready(), await home.ready()
        for number, prefix in enumerate(("y = ", "x = ", "z = ")):
            client.send(complete(number, prefix))
            await client.receive(Completed)
        found = await status(other, traces=2)
        assert found.phase.phase == "ready"
        assert (found.version, found.pid) == (__version__, os.getpid())
        assert found.pair.startswith("scripted:")
        assert (found.device, found.dtype) == ("cpu", "bytes")
        assert found.clients == [f"raw (process {os.getpid()})"] * 2
        assert (found.requests, found.shown, found.reasons) == (3, 2, {Reason.EMPTY: 1})
        assert [trace.version for trace in found.traces] == [1, 2]
        assert found.rss_bytes > 2**20
        assert found.uptime_seconds > 0


async def test_only_so_many_traces_are_kept(home: Home) -> None:
    home.set("DAEMON__TRACES", 2)
    async with served(home):
        client = await home.ready()
        for number in range(4):
            client.send(complete(number))
            await client.receive(Completed)
        assert [trace.version for trace in (await status(client)).traces] == [2, 3]
        assert (await status(client, traces=0)).traces == []


async def test_while_loading_requests_are_answered_at_once_with_the_phase(home: Home) -> None:
    phases = [{"phase": "downloading", "message": "43 of 100 MB", "done": 43, "total": 100}]
    home.script(load_ms=600_000, phases=phases)
    async with served(home):
        client = await home.visit()
        assert await client.phase("downloading") == Phase("downloading", "43 of 100 MB", 43)
        client.send(complete(1))
        answer = await client.receive(Completed)
        assert answer.reason == Reason.LOADING
        assert answer.detail == "downloading 43 %: 43 of 100 MB"


async def test_a_failed_load_is_told_and_tried_again_for_the_next_client(home: Home) -> None:
    home.script(fail="no space left on the disk; free some")
    async with served(home):
        first = await home.visit()
        assert (await first.phase("failed")).message == "no space left on the disk; free some"
        first.send(complete(1))
        answer = await first.receive(Completed)
        assert answer.reason == Reason.FAILED
        assert "no space left on the disk; free some" in answer.detail
        home.script(default="works now")
        second = await home.visit()
        assert "no space left" in (await second.phase("starting")).message
        await second.phase("ready")
        await first.phase("ready")
        first.send(complete(2))
        assert (await first.receive(Completed)).text == "works now"


async def test_a_newer_request_supersedes_within_a_step(home: Home) -> None:
    home.script(default="y" * 60, step_ms=100, tokens_per_step=1)
    async with served(home):
        client = await home.ready()
        client.send(complete(1), complete(2), complete(3, max_tokens=2))
        answers = {}
        for _ in range(3):
            answer = await client.receive(Completed)
            answers[answer.id] = answer
        assert answers[1].reason == answers[2].reason == Reason.SUPERSEDED
        assert answers[3].text
        # request 1 would have taken six seconds
        assert answers[1].trace.target_steps <= 3


async def test_a_cancelled_request_frees_the_engine_within_a_step(home: Home) -> None:
    home.script(default="y" * 60, step_ms=100, tokens_per_step=1)
    async with served(home):
        client = await home.ready()
        client.send(complete(1), wire.Cancel(1), complete(2, document="b", max_tokens=1))
        first, second = await client.receive(Completed), await client.receive(Completed)
        assert (first.id, first.reason) == (1, Reason.CANCELLED)
        assert first.trace.target_steps <= 3
        assert second.id == 2
        client.send(wire.Cancel(2), wire.Cancel(99))  # answered, and never asked
        assert second.text
        assert (await status(client)).reasons == {Reason.CANCELLED: 1}


async def test_a_client_that_goes_frees_the_engine(home: Home) -> None:
    home.script(default="y" * 60, step_ms=100, tokens_per_step=1)
    async with served(home):
        leaving, staying = await home.ready(), await home.ready()
        leaving.send(complete(1))
        await leaving.close()
        staying.send(complete(1, max_tokens=1))
        answer = await staying.receive(Completed)
        assert answer.trace.ms["queue"] < 3000
        assert (await status(staying)).reasons.get(Reason.CANCELLED) == 1


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([b"\x00\x00\x00\x05hello"], "unreadable frame"),
        ([b"GET / HTTP/1.1\r\n\r\n"], "at most 16777216"),
        ([wire.HEADER.pack(2**24 + 1)], "frame of 16777217 bytes; at most 16777216"),
        ([wire.HEADER.pack(len(NESTED)) + NESTED], "unreadable frame: maximum recursion depth"),
        ([wire.GetStatus(1)], "first frame must be a handshake"),
        ([wire.Hello(7, "umbrella-lsp", "9.0", 1)], r"speaks protocol 1 and .* 9.0\) speaks 7"),
        ([wire.Hello(1, "a", "0", 1), wire.Hello(1, "a", "0", 1)], "a handshake already"),
        ([wire.Hello(1, "a", "0", 1), complete(1), complete(1)], "request 1 is open already"),
    ],
)
async def test_what_cannot_be_served_is_refused_and_others_are_not_hurt(
    home: Home, frames: list[wire.Request | bytes], why: str
) -> None:
    home.script(default="fine", step_ms=5)
    async with served(home):
        good = await home.ready()
        bad = await home.visit(hello=False)
        bad.send(*frames)
        if isinstance(frames[0], wire.Hello) and frames[0].protocol == wire.PROTOCOL:
            await bad.receive(wire.Welcome)
        refused = await bad.receive(Refused)
        await bad.ended()
        good.send(complete(1))
        assert (await good.receive(Completed)).text == "fine"
    assert re.search(why, refused.message)


async def test_a_client_that_says_nothing_is_let_go(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_SECONDS", 0.05)
    async with served(home):
        silent = await home.visit(hello=False)
        assert (await silent.receive(Refused)).message == "no handshake came"
        assert await silent.ended()


async def test_a_client_that_does_not_read_blocks_nobody(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_UNREAD_BYTES", 2**16)
    async with served(home):
        slow, good = await home.ready(), await home.ready()
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(50):
            good.send(complete(number, "x = "))
            await good.receive(Completed)
        for number in range(200):
            slow.send(wire.GetStatus(number, 50))
        good.send(complete(100))
        assert (await good.receive(Completed)).text == "answer"
        names = 2
        async with asyncio.timeout(SECONDS):
            while names == 2:
                names = len((await status(good, 0)).clients)
        slow.writer.transport.abort()


async def test_without_clients_it_ends_and_with_one_it_stays(home: Home) -> None:
    home.set("DAEMON__IDLE_MINUTES", 0.1 / 60)
    settings = home.settings
    claim = Claim(socket_path(settings), lock_path(settings))
    assert claim.take()
    serving = asyncio.create_task(Service(settings, claim).serve(claim.bind()))
    client = await home.ready()
    done, _ = await asyncio.wait([serving], timeout=0.3)
    assert not done
    await client.close()
    async with asyncio.timeout(SECONDS):
        await serving
    claim.release()
    assert not home.socket.exists()


async def test_stop_answers_what_is_open(home: Home) -> None:
    home.script(default="y" * 60, step_ms=100, tokens_per_step=1)
    async with served(home):
        client, other = await home.ready(), await home.ready()
        client.send(complete(1, document="a"), complete(2, document="b"))
        await status(client)
        other.send(wire.Stop(3))
        assert (await other.receive(wire.Stopping)).id == 3
        answers = [await client.receive(Completed) for _ in range(2)]
        assert {(answer.id, answer.reason) for answer in answers} == {
            (1, Reason.CANCELLED),
            (2, Reason.CANCELLED),
        }
        assert await client.ended()
        assert await other.ended()


async def test_a_socket_that_was_taken_away_ends_the_daemon_and_is_left_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "WATCH_SECONDS", 0.02)
    settings = home.settings
    claim = Claim(socket_path(settings), lock_path(settings))
    assert claim.take()
    serving = asyncio.create_task(Service(settings, claim).serve(claim.bind()))
    await (await home.ready()).close()
    home.socket.unlink()
    home.socket.write_text("somebody else's")
    async with asyncio.timeout(SECONDS):
        await serving
    claim.release()
    assert home.socket.read_text() == "somebody else's"


async def test_the_socket_and_its_lock_are_for_this_user_only(home: Home) -> None:
    async with served(home):
        for path in (home.socket, lock_path(home.settings)):
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600


def test_one_claim_at_a_time_and_leftovers_are_replaced(home: Home) -> None:
    settings = home.settings
    first = Claim(socket_path(settings), lock_path(settings))
    second = Claim(socket_path(settings), lock_path(settings))
    assert first.take()
    assert not second.take()
    first.bind().close()  # bound, and gone without clearing up
    first.release()
    assert second.take()
    second.bind().close()
    assert second.holds()
    assert not first.holds()
    first.withdraw()
    assert home.socket.exists()
    second.withdraw()
    assert not home.socket.exists()
    second.release()


def test_a_file_in_the_place_of_the_socket_is_kept(home: Home) -> None:
    home.socket.write_text("precious")
    claim = Claim(socket_path(home.settings), lock_path(home.settings))
    assert claim.take()
    with pytest.raises(SettingsError, match=r"u\.sock cannot be made .*it was kept"):
        claim.bind()
    claim.release()
    assert home.socket.read_text() == "precious"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_is_refused_even_where_the_file_system_lets_them_in(home: Home) -> None:
    visitor = (
        "import os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
        "print(s.recv(4096))"
    )
    with open_directory() as directory:
        home.set("DAEMON__SOCKET", directory / "u.sock")
        async with served(home) as resident:
            (directory / "u.sock").chmod(0o666)
            arguments = [sys.executable, "-c", visitor, str(directory / "u.sock")]
            found = await asyncio.to_thread(
                subprocess.run, arguments, capture_output=True, text=True
            )
            assert resident.status(wire.GetStatus(1)).clients == []
    assert "this daemon serves uid 0 only, not uid 65534" in found.stdout, found.stderr


async def test_the_log_holds_no_text_of_any_document(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    home.script(default="SECRETANSWER")
    async with served(home):
        client = await home.ready()
        client.send(complete(1, "SECRETPREFIX = ", suffix="SECRETSUFFIX"))
        assert (await client.receive(Completed)).text
        await client.close()
        await until(lambda: "left" in caplog.text, "the log's last line")
    assert "a.py version=1 python: 12 characters; prompt=" in caplog.text
    assert "SECRET" not in caplog.text
    assert "/home/me" not in caplog.text
