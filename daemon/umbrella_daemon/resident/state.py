"""What the daemon can tell about itself: phase, pair, counts and the latest traces.

Belongs to the thread of the event loop; nothing here locks.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Iterable
from itertools import zip_longest

import psutil

from umbrella_daemon import __version__
from umbrella_daemon.resident.costs import cost_of, together
from umbrella_daemon.resident.loading import Loaded
from umbrella_daemon.settings import LOCAL, Settings
from umbrella_daemon.wire import (
    Completed,
    Drafted,
    Generated,
    Model,
    Phase,
    Status,
    Totals,
    Trace,
)


class State:
    """Filled in by the service, read by `umbrella status`."""

    def __init__(self, settings: Settings) -> None:
        self.phase = Phase("starting", "The daemon is starting.")
        backend = settings.backend
        self._pair = settings.pair if backend.kind == LOCAL else f"{backend.kind} {backend.url}"
        self._device = ""
        self._dtype = ""
        self._started = time.monotonic()
        self._requests = 0
        self._shown = 0
        self._reasons: Counter[str] = Counter()
        self._drafts: dict[str, Drafted] = {}
        self._generations = 0
        self._model = Model()
        self._totals = Totals()
        self._traces: deque[Trace] = deque(maxlen=settings.daemon.traces)
        self._process = psutil.Process()

    def loaded(self, loaded: Loaded) -> None:
        """Note which engine is resident."""
        info = loaded.engine.info
        tokenizer = loaded.engine.tokenizer
        self._pair, self._device, self._dtype = loaded.pair, info.device, info.dtype
        self._model = Model(
            info.pair,
            info.target,
            info.draft,
            info.context_tokens,
            tokenizer.vocab_size,
            tokenizer.fim is not None,
            tokenizer.chat.template,
        )

    def record(self, completed: Completed) -> None:
        """Count an answer and keep its trace."""
        self._requests += 1
        if completed.reason:
            self._reasons[completed.reason] += 1
        else:
            self._shown += 1
        for source, drafted in completed.trace.drafts.items():
            self._drafts[source] = _together(self._drafts.get(source, Drafted()), drafted)
        self._traces.append(completed.trace)
        self._totals = together(self._totals, cost_of(completed.trace))

    def record_generation(self, done: Generated) -> None:
        """Count a generation that is done."""
        self._generations += 1
        usage = done.usage
        cost = Totals(
            usage.prompt_tokens - usage.cached_tokens,
            usage.cached_tokens,
            usage.completion_tokens,
            usage.steps,
            usage.drafted_tokens,
            usage.accepted_tokens,
            usage.prompt_ms,
            usage.generate_ms,
        )
        self._totals = together(self._totals, cost)

    def status(self, request: int, clients: Iterable[str], traces: int) -> Status:
        """Answer `GetStatus`, with the latest `traces` traces."""
        return Status(
            request,
            phase=self.phase,
            version=__version__,
            pid=os.getpid(),
            uptime_seconds=time.monotonic() - self._started,
            pair=self._pair,
            device=self._device,
            dtype=self._dtype,
            rss_bytes=self._process.memory_info().rss,
            clients=list(clients),
            requests=self._requests,
            shown=self._shown,
            reasons=dict(self._reasons),
            traces=list(self._traces)[-traces:] if traces > 0 else [],
            drafts=dict(self._drafts),
            generations=self._generations,
            model=self._model,
            totals=self._totals,
        )


def _together(one: Drafted, other: Drafted) -> Drafted:
    return Drafted(
        tuple(map(sum, zip_longest(one.offered, other.offered, fillvalue=0))),
        tuple(map(sum, zip_longest(one.kept, other.kept, fillvalue=0))),
        one.us + other.us,
    )
