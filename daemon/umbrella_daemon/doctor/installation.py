"""Checks of what is installed: Python, Umbrella, torch, the language server."""

import asyncio
import platform
import sys
import time
from typing import Final

import msgspec

from umbrella_daemon import __version__
from umbrella_daemon.doctor.finding import Finding, fail, ok, warn
from umbrella_daemon.lsp_probe import LanguageServer, ProbeError, command
from umbrella_daemon.settings import Settings

OLDEST_PYTHON: Final = (3, 11)
AGAIN: Final = "Install again: pipx reinstall umbrella-lsp, or pip install --force-reinstall."
SLOW_IMPORT_SECONDS: Final = 20.0


async def python(_: Settings) -> Finding:
    """Which Python runs this."""
    found = f"{platform.python_version()} ({platform.machine()}) at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return fail(found, "Install Umbrella with Python 3.11 or newer.")
    return ok(found)


async def umbrella(_: Settings) -> Finding:
    """Whether both commands are there."""
    try:
        return ok(f"{__version__}, language server at {command()}")
    except ProbeError as error:
        return fail(f"{__version__}; {error}", AGAIN)


async def torch(_: Settings) -> Finding:
    """Whether torch can be imported, and how long that takes."""
    began = time.perf_counter()
    try:
        module = await asyncio.to_thread(__import__, "torch")
    except (ImportError, OSError) as error:
        return fail(f"cannot be imported: {error}", AGAIN)
    took = time.perf_counter() - began
    build = f"for CUDA {module.version.cuda}" if module.version.cuda else "for the CPU"
    found = f"{module.__version__} {build}, imported in {took:.1f} s"
    if took > SLOW_IMPORT_SECONDS:
        return warn(found, "The disk is slow or busy; each start of the daemon waits for it.")
    return ok(found)


async def language_server(settings: Settings) -> Finding:
    """Whether an editor gets what it needs from `umbrella-lsp --stdio`."""
    began = time.perf_counter()
    server = None
    try:
        server = await LanguageServer.start()
        # switched off, the server starts no daemon
        options = msgspec.to_builtins(settings) | {"completion": {"enabled": False}}
        capabilities = await server.initialize(options)
    except (ProbeError, OSError) as error:
        return fail(str(error), AGAIN)
    finally:
        if server is not None:
            await server.close()
    took = (time.perf_counter() - began) * 1e3
    if "inlineCompletionProvider" not in capabilities:
        return fail("it does not offer inline completion", AGAIN)
    return ok(f"offers inline completion {took:.0f} ms after its start")
