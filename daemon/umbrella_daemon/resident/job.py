"""One request on its way through the daemon, and the answers it can get.

Each answer carries its trace. A trace names the file, never its directory or its text.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from umbrella_daemon.resident.written import Written
from umbrella_daemon.wire import Alternative, Complete, Completed, Reason, Trace
from umbrella_engine.stats import Stats

DETAILS: Final = {
    Reason.SUPERSEDED: "A newer request of the document arrived.",
    Reason.CANCELLED: "The request was cancelled.",
}

Key = tuple[int, str]


@dataclass(slots=True, eq=False)
class Job:
    """A request, who asked and where the answer goes."""

    client: int  # connection it came from
    request: Complete
    answer: Callable[[Completed], None]  # called once, from any thread
    received: float = field(default_factory=time.perf_counter)
    stopped: str = ""  # reason to stop; the engine reads it before each forward pass
    written: list[Written] = field(default_factory=list)  # all the engine wrote, best first

    @property
    def key(self) -> Key:
        """Whose newest request wins."""
        return self.client, self.request.document

    def cancelled(self) -> bool:
        """Whether nobody wants the answer any more."""
        return self.stopped != ""

    def shown(
        self,
        text: str,
        replace_after: int,
        stats: Stats,
        alternatives: tuple[Alternative, ...] = (),
    ) -> Completed:
        """Give the answer that shows `text`."""
        trace = self._trace("", stats)
        return Completed(
            self.request.id, text, replace_after, trace=trace, alternatives=alternatives
        )

    def silence(self, reason: str, detail: str = "", stats: Stats | None = None) -> Completed:
        """Give the answer that shows nothing, with its reason."""
        return Completed(
            self.request.id,
            reason=reason,
            detail=detail or DETAILS.get(reason, ""),
            trace=self._trace(reason, stats or Stats()),
        )

    def _trace(self, reason: str, stats: Stats) -> Trace:
        request = self.request
        total = (time.perf_counter() - self.received) * 1e3
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
            drafted_by=dict(stats.drafted_by),
            accepted_by=dict(stats.accepted_by),
            ms={stage: round(ms, 3) for stage, ms in {**stats.ms, "total": total}.items()},
            reason=reason,
        )
