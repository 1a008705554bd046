"""The ways by which an editor reaches the server, each as a reader and a writer of bytes.

Frames are cut here; what they hold is not looked at.
"""

import asyncio
import contextlib
import ipaddress
import logging
import os
import stat
from collections.abc import AsyncIterator
from typing import Final

logger = logging.getLogger(__name__)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LINE_BYTES: Final = 2**20


def take_stdio() -> tuple[int, int]:
    """Give descriptors for the editor's pipes and leave none of them where anything could print.

    From now on standard output goes to standard error and standard input is empty, for this
    process and for its children: one stray byte would end the session. Raises OSError.
    """
    if not all(map(_can_wait, (0, 1))):
        raise OSError("standard input and output are no pipes; editors start it with pipes")
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


async def stdio(descriptors: tuple[int, int]) -> Streams:
    """Read from and write to pipes without a thread in between."""
    loop = asyncio.get_running_loop()
    source, sink = (
        os.fdopen(fd, mode, 0) for fd, mode in zip(descriptors, ("rb", "wb"), strict=True)
    )
    reader = asyncio.StreamReader(LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), sink
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


def _can_wait(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


async def unix_socket(path: str) -> Streams:
    """Connect to the socket on which an editor waits (`--pipe`)."""
    return await asyncio.open_unix_connection(path, limit=LINE_BYTES)


async def port(number: int) -> Streams:
    """Connect to the port on which an editor waits (`--socket`)."""
    return await asyncio.open_connection("127.0.0.1", number, limit=LINE_BYTES)


async def one_client(host: str, number: int) -> Streams:
    """Wait for one client on a port of this machine (`--tcp`)."""
    first: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first.done():
            writer.close()
        else:
            first.set_result((reader, writer))

    server = await asyncio.start_server(accept, host, number, limit=LINE_BYTES)
    address = server.sockets[0].getsockname()
    logger.info("listening on %s:%d", *address[:2])
    try:
        return await first
    finally:
        server.close()


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def bodies(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Give the body of each message until the editor is gone."""
    length = 0
    # ValueError: a line without end, which no editor sends
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
        while line := await reader.readline():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value)
            elif length and not line.strip():
                yield await reader.readexactly(length)
                length = 0
