"""One request on its way through the daemon, and the answers it can get.

Each answer carries its trace. A trace names the file, never its directory or its text.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from msgspec.structs import replace

from umbrella_daemon.resident.written import Written
from umbrella_daemon.wire import (
    Alternative,
    Complete,
    Completed,
    Drafted,
    Reason,
    Trace,
    VerifiedTree,
)
from umbrella_engine.stats import Stats

DETAILS: Final = {
    Reason.SUPERSEDED: "A newer request of the document arrived.",
    Reason.CANCELLED: "The request was cancelled.",
}

ENGINE: Final = "engine"
STORE: Final = "store"  # the answer followed from what had been written before
PREFETCH: Final = "prefetch"  # it was prepared while nothing was asked

Key = tuple[int, str]


def _forget(*_: object) -> None:
    """Do nothing with it."""


def _agree(written: str, typed: str) -> bool:
    """Whether a text so far and what was typed may come to the same."""
    return written.startswith(typed) or typed.startswith(written)


def _without_place(request: Complete) -> Complete:
    return replace(request, id=0, version=0, prefix="", explicit=False)


@dataclass(slots=True, eq=False)
class Job:
    """A request, who asked and where the answer goes."""

    client: int  # connection it came from
    request: Complete
    answer: Callable[[Completed], object]  # called once, from any thread
    received: float = field(default_factory=time.perf_counter)
    keep: Callable[[Completed], object] = _forget  # called instead where nobody waits any more
    again: Callable[[], object] = _forget  # called where something else may have answered it
    idle: bool = False  # nobody waits for it; gives way to everything
    probes: bool = False  # asks only for `beginnings`
    beginnings: list[str] = field(default_factory=list)  # how answers may begin, best first
    deadline: float = math.inf  # by `time.perf_counter`
    progress: str = ""  # what is written so far
    wanted: str | None = None  # what has to be the beginning of it for the request that waits
    stopped: str = ""  # reason to stop; the engine reads it before each forward pass
    layout: str = ""  # of the prompt, once there is one
    confidence: float | None = None  # probability of the first answer, once there is one
    written: list[Written] = field(default_factory=list)  # all the engine wrote, best first
    steps: tuple[VerifiedTree, ...] = ()  # how it wrote the first of it, where that is asked

    @property
    def key(self) -> Key:
        """Whose newest request wins."""
        return self.client, self.request.document

    def is_request(self, client: int, number: int) -> bool:
        """Whether somebody waits for this as request `number` of `client`."""
        return not self.idle and self.client == client and self.request.id == number

    def prepares(self, other: "Job") -> bool:
        """Whether the answer to this is just what `other` is to get."""
        return self.leads_to(other) and self.typed_before(other) == ""

    def leads_to(self, other: "Job") -> bool:
        """Whether `other` asks for this, or for what is left of it once its beginning is typed."""
        ours, theirs = self.request, other.request
        return (
            self.stopped == ""
            and not self.probes
            and self.client == other.client
            and ours.candidates == theirs.candidates == 1
            and theirs.prefix.startswith(ours.prefix)
            and _agree(self.progress, self.typed_before(other))
            and ours.explicit >= theirs.explicit  # who asks by a key gets to see more
            and _without_place(ours) == _without_place(theirs)
        )

    def typed_before(self, other: "Job") -> str:
        """Give what was typed between this and `other`."""
        return other.request.prefix[len(self.request.prefix) :]

    @property
    def age_ms(self) -> float:
        """Milliseconds since it was received."""
        return (time.perf_counter() - self.received) * 1e3

    def cancelled(self) -> bool:
        """Whether nobody wants the answer any more."""
        return (
            self.stopped != ""
            or time.perf_counter() > self.deadline
            or (self.wanted is not None and not _agree(self.progress, self.wanted))
        )

    def shown(
        self,
        text: str,
        replace_after: int,
        stats: Stats,
        alternatives: tuple[Alternative, ...] = (),
        source: str = ENGINE,
    ) -> Completed:
        """Give the answer that shows `text`."""
        trace = self._trace("", stats, source)
        return Completed(
            self.request.id,
            text,
            replace_after,
            trace=trace,
            alternatives=alternatives,
            steps=self.steps,
        )

    def silence(
        self, reason: str, detail: str = "", stats: Stats | None = None, source: str = ENGINE
    ) -> Completed:
        """Give the answer that shows nothing, with its reason."""
        return Completed(
            self.request.id,
            reason=reason,
            detail=detail or DETAILS.get(reason, ""),
            trace=self._trace(reason, stats or Stats(), source),
            steps=self.steps,
        )

    def _trace(self, reason: str, stats: Stats, source: str) -> Trace:
        request = self.request
        return Trace(
            document=PurePath(request.path or request.document).name,
            version=request.version,
            language=request.language,
            prompt_tokens=stats.prompt_tokens,
            reused_tokens=stats.reused_tokens,
            prefilled_tokens=stats.prefilled_tokens,
            drafted_tokens=stats.drafted_tokens,
            accepted_tokens=stats.accepted_tokens,
            target_steps=stats.target_steps,
            generated_tokens=stats.generated_tokens,
            drafts=_drafts(stats),
            ms={stage: round(ms, 3) for stage, ms in {**stats.ms, "total": self.age_ms}.items()},
            reason=reason,
            source=source,
            layout=self.layout,
            confidence=self.confidence and round(self.confidence, 4),
        )


def _drafts(stats: Stats) -> dict[str, Drafted]:
    """Give the counts of each source."""
    return {
        source: Drafted(
            tuple(stats.drafted_at.get(source, ())),
            tuple(stats.accepted_at.get(source, ())),
            round(stats.draft_us.get(source, 0.0), 1),
        )
        for source in {**stats.drafted_at, **stats.draft_us}
    }
