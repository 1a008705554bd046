"""`Client` and `AsyncClient`, over the socket and over HTTP: the same answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.daemons import Home
from tests.e2e.api.server import SECONDS, Server, serving
from umbrella_daemon import AsyncClient, Client
from umbrella_daemon.client import stop_daemon
from umbrella_daemon.link import DaemonError
from umbrella_daemon.programs import GenerationError
from umbrella_daemon.programs.asynchronous import own_token
from umbrella_daemon.settings import Settings, load_settings
from umbrella_daemon.wire import Message

pytestmark = pytest.mark.e2e

ADD = "d(a, b):\n    return a + b"


def settings(server: Server) -> Settings:
    return load_settings(environ=server.environment, path=None)


@pytest.fixture(params=["socket", "http"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    if request.param == "http":
        opened = Client(server.address, token=server.token)
    else:
        opened = Client(settings=settings(server), start=False)
    with opened as client:
        yield client


def test_a_text_is_continued(client: Client) -> None:
    result = client.generate("def ad").result()
    assert (result.text, result.finish_reason) == (ADD, "stop")
    assert result.usage.completion_tokens == len(ADD)
    assert result.usage.prompt_tokens == 6
    short = client.generate("def ad", max_tokens=3).result()
    assert (short.text, short.finish_reason) == ("d(a", "length")
    stopped = client.generate("def ad", stop=["\n", "return"]).result()
    assert (stopped.text, stopped.stopped_by) == ("d(a, b):", "\n")


def test_a_hole_is_filled(client: Client) -> None:
    result = client.generate("x\ndef ad", suffix="\ny", path="a.py", max_tokens=8).result()
    assert result.text == "d(a, b):"


def test_pieces_come_as_they_are_written(client: Client) -> None:
    stream = client.chat("hi", logprobs=True)
    pieces = list(stream)
    assert len(pieces) > 3
    assert "".join(piece.text for piece in pieces) == "Hello, you. How are you?"
    spelled = b"".join(token.bytes for piece in pieces for token in piece.tokens)
    assert spelled == b"Hello, you. How are you?"
    result = stream.result()
    assert result.text == "Hello, you. How are you?"
    assert result.usage.completion_tokens == len(result.text)


@pytest.mark.parametrize(
    "talk", [[{"role": "user", "content": "hi"}], [Message("user", "hi")], (Message("user", "hi"),)]
)
def test_turns_may_be_said_in_several_ways(client: Client, talk: list[Message]) -> None:
    assert client.chat(talk, max_tokens=5).result().text == "Hello"


def test_text_and_ids(client: Client) -> None:
    assert client.tokenize("a<|end|>") == list(b"a<|end|>")
    assert client.detokenize([97, 256, 98]) == "ab"
    with pytest.raises(GenerationError, match="no token") as failure:
        client.detokenize([999])
    assert failure.value.fault == "request"


def test_what_is_resident(client: Client) -> None:
    status = client.status()
    assert status.phase.phase == "ready"
    assert (status.model.name, status.model.fim) == ("scripted", True)


def test_what_an_editor_would_get(client: Client) -> None:
    assert client.complete("def ad", path="a.py", language="python").text.startswith("d(a, b):")


@pytest.mark.parametrize("transport", ["socket", "http"])
def test_what_cannot_be_is_said(server: Server, transport: str) -> None:
    address = server.address if transport == "http" else ""
    with Client(address, token=server.token, settings=settings(server), start=False) as client:
        with pytest.raises(GenerationError, match="temperature") as failure:
            client.generate("a", temperature=-1).result()
        assert failure.value.fault == "request"
        with pytest.raises(DaemonError):
            list(client.generate("\ud800"))
        assert client.generate("def ad", max_tokens=2).result().text == "d("  # as before


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with (
        Client("http://127.0.0.1:9", token="x") as client,
        pytest.raises(DaemonError, match="umbrella api"),
    ):
        client.status()
    environ = {"UMBRELLA_DAEMON__SOCKET": str(tmp_path / "x.sock")}
    nobody = Client(settings=load_settings(environ=environ), start=False)
    with nobody as client, pytest.raises(DaemonError, match="umbrella start"):
        client.generate("a").result()


def test_a_wrong_token_is_said(server: Server) -> None:
    with (
        Client(server.address, token="wrong") as client,
        pytest.raises(DaemonError, match="token is missing or wrong"),
    ):
        client.tokenize("a")


def test_only_this_machines_servers_get_this_users_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "umbrella_daemon.programs.asynchronous.api_token_path", lambda: tmp_path / "token"
    )
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "token").chmod(0o600)
    assert own_token("http://127.0.0.1:8012") == own_token("http://localhost:1/v1") == "secret"
    assert own_token("http://example.org") == own_token("http://127.0.0.1.example.org") == ""


SLOW = {"default": "y" * 100_000, "step_ms": 10, "tokens_per_step": 1}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("slow"), SLOW) as server:
        yield server


@pytest.fixture(params=["socket", "http"])
async def asker(request: pytest.FixtureRequest, slow: Server) -> AsyncIterator[AsyncClient]:
    if request.param == "http":
        opened = AsyncClient(slow.address, token=slow.token)
    else:
        opened = AsyncClient(settings=settings(slow))
    async with opened as client:
        yield client


async def generating(slow: Server, expected: bool) -> None:
    """Wait until a generation, or none, is under way."""
    async with asyncio.timeout(SECONDS), AsyncClient(settings=settings(slow)) as client:
        status = await client.status()
        while bool(status.generating) is not expected:
            status = await client.status()


async def test_who_stops_reading_stops_the_engine(asker: AsyncClient, slow: Server) -> None:
    stream = asker.generate("a")
    async for piece in stream:
        assert piece.text == "y"
        break
    await stream.cancel()
    assert stream.so_far().finish_reason == "cancelled"
    assert stream.so_far().text == "y"
    await generating(slow, False)
    async with asker.chat("a") as another:
        assert (await anext(another)).text == "y"
    await generating(slow, False)


async def test_a_task_that_is_cancelled_stops_the_engine(asker: AsyncClient, slow: Server) -> None:
    task = asyncio.create_task(asker.generate("a").result())
    await generating(slow, True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await generating(slow, False)


async def test_several_are_written_at_once(asker: AsyncClient) -> None:
    streams = [asker.generate(name, max_tokens=20) for name in "abc"]
    results = await asyncio.gather(*(stream.result() for stream in streams))
    assert [one.text for one in results] == ["y" * 20] * 3


def test_the_client_starts_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path, monkeypatch)
    try:
        with Client() as client:
            assert client.generate("a").result().text == "answer"
    finally:
        asyncio.run(stop_daemon(home.settings))
