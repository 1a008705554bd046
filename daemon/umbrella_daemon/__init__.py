"""The daemon's rooms: the language server, the resident service, the command line, programs.

For programs: `from umbrella_daemon import Client`, or `AsyncClient`; see `programs`.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umbrella_daemon.programs import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "__version__"]

try:
    __version__ = version("umbrella-lsp")
except PackageNotFoundError:  # imported from a source tree that is not installed
    __version__ = "0+source"


def __getattr__(name: str) -> Any:
    """Load the clients when they are asked for: the language server never does."""
    if name in ("AsyncClient", "Client"):
        from umbrella_daemon import programs

        return getattr(programs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
