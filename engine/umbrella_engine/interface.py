"""What an engine and a tokenizer are to whoever uses them. No torch, no implementation.

`umbrella_engine.engine.Engine` runs models; `umbrella_engine.scripted.ScriptedEngine` replays
canned steps behind the same verbs, so that the daemon and the editors are tested without weights.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from umbrella_engine.stats import Stats


@dataclass(frozen=True, slots=True)
class Limits:
    """When generation ends by itself."""

    max_tokens: int = 64
    stop_ids: frozenset[int] = frozenset()  # ends before emitting any of these


@dataclass(frozen=True, slots=True)
class Step:
    """Tokens that one verification step settled: the accepted path and the bonus token."""

    tokens: tuple[int, ...]
    # natural logarithm of the target's probability of each, among the tokens that keep the promise
    # while bytes are owed; empty where the engine does not tell
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FimTokens:
    """Fill-in-the-middle control tokens of a vocabulary."""

    prefix: int
    suffix: int
    middle: int
    pad: int | None = None
    repo: int | None = None
    file: int | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is resident, for status pages."""

    pair: str
    target: str
    draft: str  # "" without one
    device: str
    dtype: str
    context_tokens: int


@dataclass(frozen=True, slots=True)
class Progress:
    """One advance on the way to a ready engine."""

    phase: str  # "downloading" | "converting" | "loading"
    message: str  # one sentence for a person
    done: int = 0  # in the unit of `total`
    total: int = 0  # 0: unknown


Report = Callable[[Progress], None]


class Tokenizer(Protocol):
    """Text to token ids and back, byte for byte."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones included."""
        ...

    @property
    def fim(self) -> FimTokens | None:
        """Fill-in-the-middle tokens, None where the vocabulary has none."""
        ...

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end an answer: end of text, end of turn, FIM and file separators."""
        ...

    @property
    def bos_id(self) -> int | None:
        """Id every prompt starts with, None where the model wants none."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone; text that looks like a control token is encoded as text."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """Bytes that `token` adds to the text; empty for control tokens."""
        ...

    def __hash__(self) -> int:
        """Tell tokenizers apart by identity: caches of encoded text key on them."""
        ...


class Engine(Protocol):
    """A resident target, with or without a draft."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The pair's common tokenizer."""
        ...

    @property
    def info(self) -> EngineInfo:
        """What is resident."""
        ...

    def generate(
        self,
        ids: Sequence[int],
        limits: Limits,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
        stats: Stats | None = None,
    ) -> Iterator[Step]:
        """Yield the target's greedy continuation of `ids`, step by step.

        The answer starts with the bytes `owed`: text that token healing took back from the prompt
        and that the first tokens must spell again; the last of them may reach beyond it.
        `cancelled` is asked before each forward pass; when it says true, `Cancelled` is raised and
        what was computed stays cached. `stats` is filled in as work happens.

        Raises Cancelled, and ContextOverflow when `ids` and `limits.max_tokens` do not fit.
        """
        ...

    def alternatives(
        self,
        ids: Sequence[int],
        count: int,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
    ) -> list[int]:
        """Give the target's best tokens after `ids`, best first, at most `count`, all different.

        The first of them is what `generate` begins with. While bytes are `owed` all of them keep
        the promise, so there may be fewer. Takes one forward pass where `ids` are cached; raises
        as `generate` does.
        """
        ...
