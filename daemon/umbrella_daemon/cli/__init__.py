"""The command `umbrella`: everything but the language server itself.

Modules here parse arguments and print; what they show is done by the rooms they call. Heavy
imports stand inside the functions that need them, so that `umbrella --help` is there at once.
"""

from umbrella_daemon.cli.app import main

__all__ = ["main"]
