"""The page's life: a socket on loopback, the daemon at its back, until a signal ends it."""

import logging
import os
import secrets
import socket
from collections.abc import Callable
from typing import Final

from rich.console import Console

from umbrella_daemon.chat.partner import Partner
from umbrella_daemon.layers import SettingsError
from umbrella_daemon.settings import Settings

# before gradio is imported: it would count its users
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}

HOST: Final = "127.0.0.1"
NAME: Final = "umbrella web"
GRACE_SECONDS: Final = 1  # browsers hold streams open for as long as the page is there


async def serve(settings: Settings, progress: Console, listening: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM; `listening` is told the address, with its token.

    Raises SettingsError where the port cannot be had, and DaemonError where no model can.
    """
    listener = _listen(settings.web.port)
    partner = Partner(settings, progress, NAME)
    try:
        await partner.connect()
        await _serve(partner, listener, listening)
    finally:
        listener.close()
        await partner.close()


async def _serve(
    partner: Partner, listener: socket.socket, listening: Callable[[str], object]
) -> None:
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from umbrella_daemon.web.guard import Guard
    from umbrella_daemon.web.look import CSS, theme
    from umbrella_daemon.web.page import build

    port = listener.getsockname()[1]
    token = secrets.token_urlsafe(24)
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        build(partner),
        "/",
        server_name=HOST,
        server_port=port,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css=CSS,
    )
    config = uvicorn.Config(
        Guard(app, token, f"umbrella-web-{port}"),
        access_log=False,
        log_level=logging.WARNING,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    listening(f"http://{HOST}:{port}/?token={token}")
    await uvicorn.Server(config).serve(sockets=[listener])


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # who comes before the page is ready waits
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"web.port = {port} cannot be had ({error.strerror}); another program listens there, "
            "perhaps another `umbrella web`. Name another with --port N, 0 for any that is free."
        ) from None
    return listener
