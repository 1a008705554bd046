"""The server's life: a socket on loopback, the daemon at its back, until a signal ends it."""

import asyncio
import logging
import socket
from collections.abc import Callable

import uvicorn

from umbrella_daemon.api.app import create_app
from umbrella_daemon.client import DaemonClient
from umbrella_daemon.layers import SettingsError
from umbrella_daemon.settings import Settings

HOST = "127.0.0.1"

UNREAD_BYTES = 256 * 2**10  # that the kernel keeps for a client which does not read


def serve(settings: Settings, token: str, listening: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM; `listening` is told the address.

    Raises SettingsError where the port cannot be had.
    """
    listener = _listen(settings.api.port)
    asyncio.run(_serve(settings, token, listener, listening))


async def _serve(
    settings: Settings, token: str, listener: socket.socket, listening: Callable[[str], object]
) -> None:
    daemon = DaemonClient(settings, "umbrella api")
    app = create_app(daemon, settings.api, token)
    config = uvicorn.Config(
        app,
        access_log=False,  # addresses may hold what was asked
        log_level=logging.WARNING,
        lifespan="off",
        timeout_graceful_shutdown=5,
        server_header=False,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = uvicorn.Server(config)
    listening("http://{}:{}".format(*listener.getsockname()[:2]))
    starting = asyncio.create_task(_start(daemon))
    try:
        await server.serve(sockets=[listener])
    finally:
        starting.cancel()
        await daemon.close()


async def _start(daemon: DaemonClient) -> None:
    """Have the model loaded before anybody asks; why it cannot be is told to whoever asks."""
    try:
        await daemon.ready()
    except Exception:
        logging.getLogger(__name__).debug("the daemon could not be started", exc_info=True)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD_BYTES)
    try:
        listener.bind((HOST, port))
        listener.listen()  # who comes before the first answer is possible waits
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"api.port = {port} cannot be had ({error.strerror}); another program listens there. "
            "Name another with `umbrella api --port N`, 0 for any that is free."
        ) from None
    return listener
