"""An engine that is elsewhere, behind the verbs of `umbrella_engine.interface.Engine`.

Promises: an answer starts with the bytes that it owes, at most `max_tokens` ids of the tokenizer
long; closing it, or cancelling, closes the request on the wire. Where a server cannot be made to
spell what is owed and goes on otherwise, it is asked once more with the likeliest token that does
spell it in the prompt; where it tells of none, with the owed text itself.
"""

import contextlib
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final

import msgspec

from umbrella_daemon.backends.chat import Part
from umbrella_daemon.backends.dialect import Ask, Dialect, News, Token
from umbrella_daemon.backends.faults import BackendDown
from umbrella_daemon.backends.pieces import PieceTokenizer, ids_of, parts_of
from umbrella_daemon.backends.upstream import Upstream
from umbrella_engine.errors import ContextOverflow
from umbrella_engine.interface import GREEDY, EngineInfo, Limits, Sampling, Step
from umbrella_engine.stats import Stats

HEALING_OTHERS: Final = 20  # among which those that keep the promise are looked for
MOST_DETOURS: Final = 3  # tokens that are taken from those, then what is owed is put in as it is


class RemoteEngine:
    """Asks the server behind `upstream`; used by one thread, but for `remember`.

    Once the server is down it stays down for this engine: a new one has to be made.
    """

    def __init__(
        self, upstream: Upstream, dialect: Dialect, info: EngineInfo, tokenizer: PieceTokenizer
    ) -> None:
        self.info = info
        self.tokenizer = tokenizer
        self._upstream = upstream
        self._dialect = dialect

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
        """Yield the server's continuation of `ids`; see `interface.Engine`.

        Raises BackendDown and BackendRefused as well.
        """
        stats = stats if stats is not None else Stats()
        self._check(ids, limits)
        stats.prompt_tokens = stats.prefilled_tokens = len(ids)
        parts = list(parts_of(ids, self.tokenizer))
        debt, room, said = Debt(owed), Room(limits.max_tokens, stats), b""
        for detours_left in reversed(range(MOST_DETOURS + 1)):
            others = HEALING_OTHERS if debt.left else 0
            ask = Ask(_with(parts, said.decode()), room.left, sampling, debt.left.decode(), others)
            stray = yield from self._course(ask, debt, room, cancelled, stats)
            if stray is None:
                return
            said = owed[: len(owed) - len(debt.left)]
            detour = debt.detour(stray) if detours_left else Token(debt.left)
            said += detour.data
            yield room.step(detour.data, debt.pay(detour) or 0.0)
            if not room.left:
                return

    def alternatives(
        self,
        ids: Sequence[int],
        count: int,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
    ) -> list[int]:
        """Give how the likeliest tokens after `ids` begin; see `interface.Engine`."""
        self._check(ids, Limits(1))
        parts = list(parts_of(ids, self.tokenizer))
        ask = Ask(parts, 1, GREEDY, owed.decode(), max(count, HEALING_OTHERS))
        with contextlib.closing(self._answer(ask, cancelled, Stats())) as answer:
            first = next(answer, None)
        if first is None:
            return []
        ranked = sorted(first.others, key=lambda other: -other[1])
        texts = [first.data, *(data for data, _ in ranked)]
        fitting = dict.fromkeys(ids_of(data)[0] for data in texts if data and _agree(data, owed))
        return list(fitting)[:count]

    def remember(self, name: str, ids: Sequence[int]) -> None:
        """Note nothing: the server has drafts of its own or none; see `interface.Engine`."""

    def close(self) -> None:
        """Let go of the server."""
        self._upstream.close()

    def _course(
        self, ask: Ask, debt: "Debt", room: "Room", cancelled: Callable[[], bool], stats: Stats
    ) -> Generator[Step, None, Token | None]:
        """Yield an answer as it comes; give the token at which it left what is owed, if any.

        An answer that ends while something is owed leaves it with a token without text.
        """
        with contextlib.closing(self._answer(ask, cancelled, stats)) as answer:
            for token in answer:
                logprob = debt.pay(token)
                if logprob is None:
                    return token
                yield room.step(token.data, logprob)
                if not room.left:
                    return None
        return Token(b"") if debt.left else None

    def _answer(self, ask: Ask, cancelled: Callable[[], bool], stats: Stats) -> Generator[Token]:
        """Yield the tokens that answer `ask`; closing it closes the request."""
        try:
            with contextlib.closing(self._news(ask, cancelled, stats)) as told:
                for news in told:
                    _count(news, stats)
                    yield from news.tokens
                    if news.ended:
                        return
            raise self._upstream.down("it broke off in mid-answer")
        except BackendDown as lost:
            self._upstream.close(lost)
            raise

    def _news(self, ask: Ask, cancelled: Callable[[], bool], stats: Stats) -> Generator[News]:
        """Yield what the server says of `ask`."""
        url, body = self._dialect.request(ask)
        with contextlib.closing(self._upstream.stream(url, body, cancelled)) as events:
            with stats.stage("prefill"):
                event = next(events, None)
            while event is not None:
                yield self._read(event)
                event = next(events, None)

    def _read(self, event: bytes) -> News:
        try:
            return self._dialect.news(event)
        except msgspec.DecodeError as error:
            raise self._upstream.down(
                f"it answers in a way that is not understood ({error}): check backend.kind"
            ) from None

    def _check(self, ids: Sequence[int], limits: Limits) -> None:
        if len(ids) + limits.max_tokens > self.info.context_tokens:
            raise ContextOverflow(
                f"a prompt of {len(ids)} tokens and {limits.max_tokens} new ones do not fit into "
                f"{self.info.context_tokens}; shorten it, or give the server a larger context and "
                "raise engine.context_tokens"
            )


class Room:
    """How many ids an answer may still have."""

    def __init__(self, most: int, stats: Stats) -> None:
        self.left = most
        self._stats = stats

    def step(self, data: bytes, logprob: float) -> Step:
        """Give the ids of `data`, as far as there is room; the first has all the probability."""
        ids = ids_of(data)[: self.left]
        self.left -= len(ids)
        self._stats.generated_tokens += len(ids)
        return Step(tuple(ids), (logprob, *[0.0] * (len(ids) - 1)))


class Debt:
    """What an answer still has to spell before new text starts."""

    def __init__(self, owed: bytes) -> None:
        self.left = owed

    def pay(self, token: Token) -> float | None:
        """Take the next token; give its logprob among those that keep the promise.

        None where it breaks the promise.
        """
        if not self.left:
            return token.logprob
        if not _agree(token.data, self.left):
            return None
        fitting = [logprob for data, logprob in token.others if data and _agree(data, self.left)]
        self.left = self.left[len(token.data) :]
        return min(0.0, token.logprob - _log_sum({token.logprob, *fitting}))

    def detour(self, stray: Token) -> Token:
        """Give the likeliest token at the place of `stray` that keeps the promise.

        What is owed itself where none of those that the server tells of does.
        """
        fitting = [
            (logprob, data)
            for data, logprob in stray.others
            if data and _agree(data, self.left) and _is_text(data)
        ]
        if not fitting:
            return Token(self.left)
        logprob, data = max(fitting)
        return Token(data, logprob, stray.others)


def _agree(data: bytes, owed: bytes) -> bool:
    return data.startswith(owed) or owed.startswith(data)


def _log_sum(logprobs: set[float]) -> float:
    """Give the logarithm of the sum of probabilities."""
    highest = max(logprobs)
    if highest == -math.inf:
        return 0.0
    return highest + math.log(sum(math.exp(one - highest) for one in logprobs))


def _is_text(data: bytes) -> bool:
    """Whether `data` are whole characters."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _with(parts: Sequence[Part], text: str) -> list[Part]:
    """Give `parts` with `text` at the end."""
    if not text:
        return list(parts)
    last = parts[-1] if parts else ""
    return [*parts[:-1], last + text] if isinstance(last, str) else [*parts, text]


def _count(news: News, stats: Stats) -> None:
    """Note what the server tells of costs."""
    if news.tokens:
        stats.target_steps += 1
    if news.usage is not None:
        usage = news.usage
        stats.prompt_tokens, stats.reused_tokens = usage.prompt, usage.cached
        stats.prefilled_tokens = usage.prompt - usage.cached
        stats.drafted_tokens, stats.accepted_tokens = usage.drafted, usage.accepted
