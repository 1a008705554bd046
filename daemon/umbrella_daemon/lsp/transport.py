"""The ways by which an editor reaches the server.

Each takes a `Channel` and returns when it is connected. Nothing here looks into a message.
"""

import asyncio
import ipaddress
import logging
import os
import stat

from umbrella_daemon.lsp.channel import Channel, Outlet

logger = logging.getLogger(__name__)


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


async def stdio(channel: Channel, source: int, sink: int) -> None:
    """Read from and write to pipes, without a thread in between."""
    loop = asyncio.get_running_loop()
    await loop.connect_write_pipe(lambda: Outlet(channel), os.fdopen(sink, "wb", 0))
    await loop.connect_read_pipe(lambda: channel, os.fdopen(source, "rb", 0))


async def unix_socket(channel: Channel, path: str) -> None:
    """Connect to the socket on which an editor waits (`--pipe`)."""
    await asyncio.get_running_loop().create_unix_connection(lambda: channel, path)


async def port(channel: Channel, number: int) -> None:
    """Connect to the port on which an editor waits (`--socket`)."""
    await asyncio.get_running_loop().create_connection(lambda: channel, "127.0.0.1", number)


async def one_client(channel: Channel, host: str, number: int) -> None:
    """Wait for one client on a port of this machine (`--tcp`); others are turned away."""
    expected: list[asyncio.BaseProtocol] = [channel]
    server = await asyncio.get_running_loop().create_server(
        lambda: expected.pop() if expected else _TurnedAway(), host, number
    )
    logger.info("listening on %s:%d", *server.sockets[0].getsockname()[:2])
    await channel.connected
    server.close()


class _TurnedAway(asyncio.BaseProtocol):
    """Closes its connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _can_wait(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
