"""What a kind of server is asked and how it answers: the verbs that all kinds share.

A kind is an object with these verbs; nothing else knows that there are several.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from umbrella_daemon.backends.chat import Part
from umbrella_daemon.backends.pieces import PieceTokenizer
from umbrella_engine.interface import Sampling


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted of a server."""

    parts: Sequence[Part]
    max_tokens: int
    sampling: Sampling
    owed: str = ""  # what the answer has to begin with
    others: int = 0  # how many of the likeliest tokens at each place are to be told


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer; several where the server tells no tokens apart."""

    data: bytes
    logprob: float = 0.0
    others: tuple[tuple[bytes, float], ...] = ()  # the likeliest at its place, with logprobs


@dataclass(frozen=True, slots=True)
class Usage:
    """What a server says that an answer has cost so far, in its tokens."""

    prompt: int
    cached: int = 0
    drafted: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """What one event of an answer says."""

    tokens: tuple[Token, ...] = ()
    ended: bool = False
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What a server has."""

    model: str
    context_tokens: int  # 0: it does not tell
    tokenizer: PieceTokenizer
    layout: str  # how prompts get there, for people


class Dialect(Protocol):
    """How to talk to one kind of server."""

    def served(self) -> Served:
        """Look at what the server has; raises BackendDown."""
        ...

    def request(self, ask: Ask) -> tuple[str, dict[str, object]]:
        """Give the address and the body of a request whose answer is a stream of events."""
        ...

    def news(self, data: bytes) -> News:
        """Read the data of one event; raises BackendDown where it tells of a failure."""
        ...
