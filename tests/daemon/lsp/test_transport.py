import asyncio

import pytest

from umbrella_daemon.lsp.transport import bodies, is_loopback


async def read(data: bytes) -> list[bytes]:
    reader = asyncio.StreamReader(2**10)
    reader.feed_data(data)
    reader.feed_eof()
    return [body async for body in bodies(reader)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"Content-Length: 2\r\n\r\n{}Content-Length: 1\r\n\r\n1", [b"{}", b"1"]),
        (b"content-type: x\r\ncontent-length:  2 \r\n\r\n{}", [b"{}"]),
        (b"Content-Length: 2\n\n{}", [b"{}"]),
        (b"\r\n\r\nstray\r\nContent-Length: 2\r\n\r\n{}", [b"{}"]),
        (b"Content-Length: two\r\n\r\n{}\r\nContent-Length: 2\r\n\r\n{}", [b"{}"]),
        (b"Content-Length: 9\r\n\r\n{}", []),
        (b"x" * 5000 + b"\r\nContent-Length: 2\r\n\r\n{}", []),
    ],
)
async def test_bodies(data: bytes, expected: list[bytes]) -> None:
    assert await read(data) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("", False),
        ("example.org", False),
    ],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
