"""What an engine and a tokenizer are to whoever uses them. No torch, no implementation.

`umbrella_engine.engine.Engine` runs models; `umbrella_engine.scripted.ScriptedEngine` replays
canned steps behind the same verbs, so that the daemon and the editors are tested without weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from umbrella_engine.stats import Stats


@dataclass(frozen=True, slots=True)
class Sampling:
    """How each token is chosen from the target's probabilities; the default is the likeliest.

    The filters apply in the order of the fields, to probabilities at `temperature`. Equal seeds
    give equal answers to equal requests, as far as the arithmetic of the device is repeatable.
    """

    temperature: float = 0.0  # 0: always the likeliest token; 1: as the model was trained
    top_k: int = 0  # only the so many likeliest; 0: all
    top_p: float = 1.0  # only the likeliest that together reach this probability
    min_p: float = 0.0  # only those at least this fraction as likely as the likeliest
    seed: int | None = None  # None: another one every time

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if not (0 <= self.temperature < float("inf")):
            raise ValueError(f"temperature must be 0 or a positive number, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be between 0 and 1, not {self.min_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (all tokens) or more, not {self.top_k}")


GREEDY: Final = Sampling()


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
    # the order the family was trained in: "psm" (prefix, suffix, middle), "spm" (suffix, prefix,
    # middle) or "sp" (suffix, prefix, and the answer follows without a middle token)
    order: str = "psm"


@dataclass(frozen=True, slots=True, eq=False)  # told apart by identity, as tokenizers are
class ChatFormat:
    """How a model was taught to tell who says what."""

    template: str = ""  # Jinja source as model folders have it, "" without one
    names: Mapping[str, str] = field(default_factory=dict)  # "bos_token" … → how it is spelled
    controls: Mapping[str, int] = field(default_factory=dict)  # spelling → id of control tokens


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is resident, for status pages."""

    pair: str
    target: str
    draft: str  # "" without one
    device: str
    dtype: str
    context_tokens: int
    lanes: int = 2  # how many prompts can be under way at the same time


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

    @property
    def chat(self) -> ChatFormat:
        """How conversations are written for the model."""
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
        sampling: Sampling = GREEDY,
    ) -> Iterator[Step]:
        """Yield the target's continuation of `ids`, step by step; greedy unless `sampling` differs.

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

    def remember(self, name: str, ids: Sequence[int]) -> None:
        """Note text that may be repeated, instead of what was noted under `name` before.

        May be called in any thread. It changes how fast answers come, never which. Memory is
        bounded: what was noted longest ago goes first. Nothing is noted of empty `ids`.
        """
        ...
