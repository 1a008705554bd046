import asyncio
import socket

import pytest

from umbrella_daemon.lsp.channel import MAX_HEADER_BYTES, Channel

BODIES = [b"{}", b"", b"Content-Length: 3\r\n\r\n", "é".encode() * 300]
STREAM = b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in BODIES)


class Taken:
    """What a channel handed over, and in which turn of the loop."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.turns: list[int] = []
        self.gone = asyncio.Event()
        self.channel = Channel(self._receive, self.gone.set)
        self._turn = 0
        self._count()

    def _count(self) -> None:
        self._turn += 1
        asyncio.get_running_loop().call_soon(self._count)

    def _receive(self, body: bytes) -> None:
        self.bodies.append(body)
        self.turns.append(self._turn)


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize("size", [1, 2, 7, 100, len(STREAM)])
async def test_bodies_however_the_stream_is_cut(size: int) -> None:
    taken = Taken()
    for start in range(0, len(STREAM), size):
        taken.channel.data_received(STREAM[start : start + size])
        await turns(1)
    await turns()
    assert taken.bodies == BODIES
    assert not taken.gone.is_set()


async def test_one_body_a_turn_of_the_loop() -> None:
    taken = Taken()
    taken.channel.data_received(STREAM)
    taken.channel.data_received(STREAM)
    await turns()
    assert taken.bodies == BODIES * 2
    assert len(set(taken.turns)) == len(taken.turns)


@pytest.mark.parametrize(
    "data",
    [
        b"content-type: x\r\ncontent-length:  2 \r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc\r\n\r\n{}",
        b"Content-Length: 2\n\n{}",
        b"\r\n\r\nstray\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: two\r\n\r\n\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_headers(data: bytes) -> None:
    taken = Taken()
    taken.channel.data_received(data)
    await turns()
    assert taken.bodies == [b"{}"]


async def test_a_stream_without_headers_is_no_editor() -> None:
    taken = Taken()
    taken.channel.data_received(b"x" * MAX_HEADER_BYTES)
    assert not taken.gone.is_set()
    taken.channel.data_received(b"x")
    assert taken.gone.is_set()


async def test_everything_is_sent_before_the_end() -> None:
    near, far = socket.socketpair()
    taken = Taken()
    await asyncio.get_running_loop().create_connection(lambda: taken.channel, sock=near)
    await taken.channel.connected
    reader, writer = await asyncio.open_connection(sock=far)
    much = b"x" * 5_000_000
    taken.channel.write(much)
    taken.channel.close()
    assert not taken.channel.flushed.done()
    assert await reader.read() == much
    await asyncio.wait_for(taken.channel.flushed, 10)
    assert taken.gone.is_set()
    taken.channel.write(b"nobody is there")
    writer.close()
    await writer.wait_closed()
