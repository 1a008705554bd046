"""Writers of text behind prompts, the clock they are measured by, and what is said of them.

A writer is whatever continues token ids: this engine in one of its ways, or another's. All are
asked the same prompts in one run, taking turns in going first, so that what else the machine does
meets all of them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Final, Protocol

from umbrella_daemon.bench.result import BenchError, Figure

WARM_UP: Final = 2  # prompts that do not count

Advanced = Callable[[str, int], None]  # what is being done, percent


@dataclass(frozen=True, slots=True)
class Ask:
    """A prompt in token ids; `owed` is what the answer must spell first, by token healing."""

    ids: Sequence[int]
    owed: bytes = b""


@dataclass(slots=True)
class Written:
    """What one writer wrote behind one prompt; times from the prompt on."""

    tokens: list[int] = field(default_factory=list)
    first_tokens: int = 0  # that came together, first
    first_ms: float = 0.0
    total_ms: float = 0.0
    steps: int = 0  # forward passes of the target that gave tokens
    accepted: int | None = None  # drafted tokens that were kept; None where it is not told
    drafted: int | None = None
    prefilled: int | None = None  # tokens of the prompt that were computed


class WriterFailed(BenchError):
    """Another's program could not write; the message is why."""


@dataclass
class Record:
    """What befell writers on the way, by their names."""

    warm_up_s: dict[str, float] = field(default_factory=dict)  # compiling is in it
    failures: dict[str, str] = field(default_factory=dict)

    def figures(self, name: str) -> dict[str, Figure]:
        """Give what a row says of it."""
        taken = self.warm_up_s.get(name)
        return {
            "warm_up_s": None if taken is None else round(taken, 1),
            "reason": self.failures.get(name),
        }


class Writer(Protocol):
    """Continues prompts; in one way, always the same."""

    @property
    def name(self) -> str:
        """What its row is called."""
        ...

    def write(self, ask: Ask, count: int) -> Written:
        """Give at most `count` new tokens; fewer where the text ends. May raise WriterFailed."""
        ...


@dataclass
class Account:
    """Everything that one writer wrote."""

    written: list[Written] = field(default_factory=list)
    same: int = 0  # texts equal to the first writer's

    def figures(self, name: str, *, same_text: bool = True) -> dict[str, Figure]:
        """Give a row: rates over the whole run, times at the median and the ninth decile."""
        all_of = self.written
        later = sum(len(one.tokens) - one.first_tokens for one in all_of)
        seconds = sum(one.total_ms - one.first_ms for one in all_of) / 1e3
        tokens = sum(len(one.tokens) for one in all_of)
        steps = sum(one.steps for one in all_of)
        accepted = [one.accepted for one in all_of if one.accepted is not None]
        return {
            "name": name,
            "requests": len(all_of),
            "tokens": tokens,
            "steps": steps,
            "tokens_per_second": _rate(later, seconds, 1),
            "tokens_per_second_with_prompt": _rate(
                tokens, sum(one.total_ms for one in all_of) / 1e3, 1
            ),
            "tokens_per_step": _rate(tokens, steps, 3),
            "accepted_per_step": _rate(sum(accepted), steps, 3) if accepted else None,
            "first_ms_p50": percentile([one.first_ms for one in all_of], 50),
            "first_ms_p90": percentile([one.first_ms for one in all_of], 90),
            "request_ms_p50": percentile([one.total_ms for one in all_of], 50),
            "request_ms_p90": percentile([one.total_ms for one in all_of], 90),
            "same_text": self.same if same_text else None,
        }


def race(
    writers: Sequence[Writer],
    asks: Sequence[Ask],
    count: int,
    seconds: float,
    advanced: Advanced,
    record: Record | None = None,
) -> Iterator[tuple[int, dict[str, Written]]]:
    """Yield, prompt by prompt, what each writer wrote; ends once `seconds` are spent.

    Writers take turns in going first. Each first writes behind the first `WARM_UP` prompts, which
    do not count and do not come again, since what was written once is written faster; that takes
    as long as it takes, since some compile. Places are those in `asks`. Writers that fail are left
    out from then on, and `record` says why.
    """
    record = record or Record()
    for number, writer in enumerate(writers):
        advanced(f"warming up: {writer.name}", 100 * number // len(writers))
        started = time.perf_counter()
        for ask in asks[:WARM_UP]:
            _attempt(writer, ask, count, record)
        record.warm_up_s[writer.name] = time.perf_counter() - started
    began = time.perf_counter()
    counted = asks[WARM_UP:]
    for place, ask in enumerate(counted):
        spent = time.perf_counter() - began
        if place and spent > seconds:
            return
        share = max(place / len(counted), spent / seconds)
        advanced(f"prompt {place + 1} of at most {len(counted)}", int(100 * min(1.0, share)))
        turn = place % len(writers)
        order = [*writers[turn:], *writers[:turn]]
        answers = {writer.name: _attempt(writer, ask, count, record) for writer in order}
        yield WARM_UP + place, {name: one for name, one in answers.items() if one is not None}


def _attempt(writer: Writer, ask: Ask, count: int, record: Record) -> Written | None:
    """Let it write unless it has failed before."""
    if writer.name in record.failures:
        return None
    try:
        return writer.write(ask, count)
    except WriterFailed as error:
        record.failures[writer.name] = str(error)
        return None


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Give a percentile, None of nothing; rounded to microseconds."""
    if not values:
        return None
    if percent == 50 or len(values) == 1:
        return round(median(values), 3)
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 3)


def _rate(count: float, per: float, digits: int) -> float | None:
    return round(count / per, digits) if per else None
