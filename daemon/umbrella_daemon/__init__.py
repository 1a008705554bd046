"""The daemon's rooms: the language server, the resident service and the command line."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("umbrella-lsp")
except PackageNotFoundError:  # imported from a source tree that is not installed
    __version__ = "0+source"
