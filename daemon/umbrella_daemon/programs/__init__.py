"""The daemon for programs: `Client` and `AsyncClient`, over the Unix socket or HTTP.

from umbrella_daemon import Client

with Client() as client:
    for piece in client.chat("What is a monad?"):
        print(piece.text, end="")
"""

from umbrella_daemon.programs.asynchronous import AsyncClient, AsyncStream
from umbrella_daemon.programs.results import (
    Completion,
    GenerationError,
    Piece,
    Result,
    Token,
    Usage,
)
from umbrella_daemon.programs.synchronous import Client, Stream

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "Client",
    "Completion",
    "GenerationError",
    "Piece",
    "Result",
    "Stream",
    "Token",
    "Usage",
]
