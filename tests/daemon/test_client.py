import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.daemons import SECONDS, Home, ask, open_directory, until
from umbrella_daemon import __version__, client, link, wire
from umbrella_daemon.client import DaemonClient, DaemonError
from umbrella_daemon.wire import Completed, Phase, Reason


class Daemon:
    """The other end of a client's connection, played by the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def welcome(self) -> None:
        hello = await self.receive()
        assert isinstance(hello, wire.Hello)
        assert (hello.protocol, hello.version, hello.pid) == (1, __version__, os.getpid())
        self.send(wire.Welcome(wire.PROTOCOL, __version__, os.getpid()))

    async def receive(self) -> wire.Request:
        header = await self._reader.readexactly(4)
        return wire.decode_request(await self._reader.readexactly(wire.HEADER.unpack(header)[0]))

    async def completion(self) -> wire.Complete:
        request = await self.receive()
        assert isinstance(request, wire.Complete), request
        return request

    def send(self, *replies: wire.Reply | bytes) -> None:
        for reply in replies:
            self._writer.write(reply if isinstance(reply, bytes) else wire.frame(reply))

    def close(self) -> None:
        self._writer.close()


Play = Callable[[Daemon], Awaitable[None]]
Stage = Callable[[Play], contextlib.AbstractAsyncContextManager[None]]


@pytest.fixture
def playing(home: Home) -> Stage:
    """Listen at the daemon's socket and play `play` with each client; its failures are ours."""

    @contextlib.asynccontextmanager
    async def stage(play: Play) -> AsyncIterator[None]:
        plays: list[asyncio.Task[None]] = []

        async def one(daemon: Daemon) -> None:
            try:
                await play(daemon)
            except asyncio.IncompleteReadError:
                return
            finally:
                daemon.close()

        async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            plays.append(asyncio.ensure_future(one(Daemon(reader, writer))))

        server = await asyncio.start_unix_server(begin, home.socket)
        try:
            yield
        finally:
            server.close()
            home.socket.unlink()
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(*plays)

    return stage


async def find(home: Home, phases: list[Phase] | None = None) -> DaemonClient:
    report = None if phases is None else phases.append
    return await DaemonClient.connect(home.settings, start=False, on_phase=report)


async def test_answers_find_their_requests_in_any_order(home: Home, playing: Stage) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.welcome()
        requests = [await daemon.completion() for _ in range(3)]
        daemon.send(Completed(999, "nobody asked"))
        for request in reversed(requests):
            daemon.send(Completed(request.id, request.prefix.upper()))
        await daemon.receive()

    async with playing(play):
        user = await find(home)
        answers = await asyncio.gather(*(ask(user, prefix) for prefix in "abc"))
        assert [answer.text for answer in answers] == ["A", "B", "C"]
        await user.close()


async def test_cancelling_the_task_tells_the_daemon_and_ends_at_once(
    home: Home, playing: Stage
) -> None:
    received: asyncio.Queue[wire.Request] = asyncio.Queue()

    async def play(daemon: Daemon) -> None:
        await daemon.welcome()
        while True:
            received.put_nowait(await daemon.receive())

    async with playing(play):
        user = await find(home)
        task = asyncio.create_task(ask(user))
        async with asyncio.timeout(SECONDS):
            request = await received.get()
            assert isinstance(request, wire.Complete)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await received.get() == wire.Cancel(request.id)
        assert user.connected
        await user.close()


async def test_a_lost_daemon_answers_and_the_next_request_finds_the_new_one(
    home: Home, playing: Stage
) -> None:
    async def die(daemon: Daemon) -> None:
        await daemon.welcome()
        await daemon.completion()

    async def live(daemon: Daemon) -> None:
        await daemon.welcome()
        daemon.send(Completed((await daemon.completion()).id, "again"))
        await daemon.receive()

    phases: list[Phase] = []
    async with playing(die):
        user = await find(home, phases)
        lost = await ask(user)
    assert (lost.reason, lost.text) == (Reason.DAEMON_LOST, "")
    assert "the next request restarts it" in lost.detail
    assert phases[-1].phase == "failed"  # no progress bar stays behind
    assert not user.connected
    async with playing(live):
        assert (await ask(user)).text == "again"
        await user.close()


async def test_phases_are_passed_on_and_ready_waits_for_the_last(
    home: Home, playing: Stage
) -> None:
    go_on = asyncio.Event()

    async def play(daemon: Daemon) -> None:
        await daemon.welcome()
        daemon.send(Phase("downloading", "fetching", 43))
        await go_on.wait()
        daemon.send(Phase("ready", "all there"))
        await daemon.receive()

    phases: list[Phase] = []
    async with playing(play):
        user = await find(home, phases)
        waiting = asyncio.create_task(user.ready())
        await until(lambda: user.phase.percent == 43, "the download's phase")
        assert not waiting.done()
        go_on.set()
        async with asyncio.timeout(SECONDS):
            assert await waiting == Phase("ready", "all there")
        assert [phase.phase for phase in phases] == ["downloading", "ready"]
        await user.close()


async def test_without_a_daemon_the_message_says_how_to_start_one(home: Home) -> None:
    with pytest.raises(DaemonError, match="no daemon is running; `umbrella start`"):
        await find(home)
    user = DaemonClient(home.settings, start=False)
    answer = await ask(user)
    assert answer.reason == Reason.DAEMON_LOST
    assert "umbrella start" in answer.detail
    await user.close()


@pytest.mark.parametrize("prefix", ["x" * 2**24, "\ud800"])
async def test_text_that_cannot_be_sent_is_answered_and_costs_nothing(
    home: Home, playing: Stage, prefix: str
) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.welcome()
        daemon.send(Completed((await daemon.completion()).id, "fine"))
        await daemon.receive()

    async with playing(play):
        user = await find(home)
        refused = await ask(user, prefix)
        assert refused.reason in (Reason.TOO_LARGE, Reason.BINARY)
        assert refused.detail
        assert (await ask(user)).text == "fine"
        await user.close()


async def test_a_daemon_that_is_still_starting_is_not_waited_for(
    home: Home, playing: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.05)
    go_on = asyncio.Event()

    async def play(daemon: Daemon) -> None:
        await go_on.wait()
        await daemon.welcome()
        daemon.send(Completed((await daemon.completion()).id, "ready now"))
        await daemon.receive()

    async with playing(play):
        user = DaemonClient(home.settings, start=False)
        assert (await ask(user)).reason == Reason.LOADING
        go_on.set()
        await until(lambda: user.connected, "the connection")
        assert (await ask(user)).text == "ready now"
        await user.close()


async def test_many_requests_at_once_make_one_connection(home: Home, playing: Stage) -> None:
    connections = 0

    async def play(daemon: Daemon) -> None:
        nonlocal connections
        connections += 1
        await daemon.welcome()
        while True:
            daemon.send(Completed((await daemon.completion()).id, "x"))

    async with playing(play):
        user = DaemonClient(home.settings, start=False)
        answers = await asyncio.gather(*(ask(user, str(number)) for number in range(20)))
        assert {answer.text for answer in answers} == {"x"}
        await user.close()
    assert connections == 1


async def test_something_else_at_the_socket_is_named_and_left_alone(
    home: Home, playing: Stage
) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.receive()
        daemon.send(b"\x00\x00\x00\x01\x05")  # what an ssh-agent would say
        await daemon.receive()

    async with playing(play):
        for start in (False, True):
            with pytest.raises(DaemonError, match=r"no daemon of ours .*setting daemon\.socket"):
                await DaemonClient.connect(home.settings, start=start)


async def test_a_refusal_is_told(home: Home, playing: Stage) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.receive()
        daemon.send(wire.Refused("speaks protocol 7; stop the daemon with `umbrella stop`"))
        await daemon.receive()

    async with playing(play):
        with pytest.raises(DaemonError, match="speaks protocol 7"):
            await find(home)


async def test_a_daemon_that_does_not_answer_is_named(
    home: Home, playing: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "HANDSHAKE_SECONDS", 0.05)

    async def play(daemon: Daemon) -> None:
        await daemon.receive()
        await daemon.receive()

    async with playing(play):
        with pytest.raises(DaemonError, match=rf"process {os.getpid()}\) does not answer"):
            await find(home)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_a_daemon_of_another_user_is_not_talked_to(home: Home) -> None:
    with open_directory() as directory:
        program = (
            "import os, socket, sys\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
            "print(flush=True)\n"
            "c = s.accept()[0]; c.settimeout(10); print(len(c.recv(4096)))"
        )
        home.set("DAEMON__SOCKET", directory / "u.sock")
        arguments = ["-c", program, str(directory / "u.sock")]
        stranger = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert stranger.stdout is not None
        async with asyncio.timeout(SECONDS):
            await stranger.stdout.readline()
            with pytest.raises(DaemonError, match=r"served by another user \(uid 65534\)"):
                await DaemonClient.connect(home.settings)
            heard, _ = await stranger.communicate()
        assert heard == b"0\n"  # not even who we are


async def test_a_closed_client_answers_with_a_reason(home: Home, playing: Stage) -> None:
    async def play(daemon: Daemon) -> None:
        await daemon.welcome()
        await daemon.completion()
        await daemon.receive()

    async with playing(play):
        user = await find(home)
        waiting = asyncio.create_task(ask(user))
        await asyncio.sleep(0)
        await user.close()
        assert (await waiting).reason == Reason.DAEMON_LOST
        assert (await ask(user)).detail == "this client was closed"
        await user.close()


async def test_only_one_failure_a_while_where_no_daemon_can_be_started(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RETRY_SECONDS", 600.0)
    home.socket.mkdir()  # no daemon can bind here
    home.set("DAEMON__SOCKET", home.socket)
    user = DaemonClient(home.settings)
    monkeypatch.setattr(client, "PATIENCE_SECONDS", SECONDS)
    first = await ask(user)
    assert first.reason == Reason.DAEMON_LOST
    assert "ended as it started (status 2)" in first.detail
    assert "a file that is no socket is there; it was kept" in first.detail
    logged = home.log
    assert (await ask(user)).detail == first.detail
    assert home.log == logged
    await user.close()
