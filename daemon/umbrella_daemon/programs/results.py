"""What programs get from the daemon, as plain values."""

import msgspec

from umbrella_daemon.link import DaemonError
from umbrella_daemon.wire import Token, Usage

__all__ = ["Completion", "GenerationError", "Piece", "Result", "Token", "Usage"]


class GenerationError(DaemonError):
    """There is no answer, or no more of it; the message says why.

    `fault`: "request" (it asks for what cannot be), "loading" or "failed" (there is no model),
    "internal" (`umbrella logs` has the details).
    """

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault


class Piece(msgspec.Struct, frozen=True):
    """Text as it comes: whole characters."""

    text: str
    tokens: tuple[Token, ...] = ()  # where they were asked for


class Result(msgspec.Struct, frozen=True):
    """A whole answer."""

    text: str
    finish_reason: str  # "stop", "length" or "cancelled"
    usage: Usage
    tokens: tuple[Token, ...] = ()  # where they were asked for
    stopped_by: str = ""  # the stop text that ended it


class Completion(msgspec.Struct, frozen=True):
    """What an editor would show at a place in a document."""

    text: str
    reason: str = ""  # why there is none, as in daemon/README.md
    detail: str = ""  # one sentence for a person
    replace_after: int = 0  # characters behind the place that `text` replaces
    alternatives: tuple[str, ...] = ()
