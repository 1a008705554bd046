"""Where an answer comes from: what is known already, else the engine; and what is prepared next.

Belongs to the thread of the event loop. Promises: each request is answered once; what the store
knows is answered before this returns; whatever is prepared gives way to every request. Knows
nothing of sockets, and of the engine only that the scheduler has it.
"""

from collections.abc import Callable
from typing import Final

from umbrella_daemon.resident.foresight import likely
from umbrella_daemon.resident.habits import Habits
from umbrella_daemon.resident.job import PREFETCH, STORE, Job
from umbrella_daemon.resident.postprocess import Shown
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.resident.suggestions import Found, Limits, SuggestionStore
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Complete, Completed, Reason
from umbrella_engine.stats import Stats

# answers that say what the engine makes of a state, not what became of a request
_LASTING: Final = frozenset({"", Reason.EMPTY, Reason.REPEATS, Reason.LOW_CONFIDENCE})

Call = Callable[..., None]  # calls a function in the event loop's thread, from any thread
Reply = Callable[[Completed], None]


class Answers:
    """Answers requests of all clients, out of the store or through `scheduler`."""

    def __init__(self, settings: Settings, scheduler: Scheduler, call: Call) -> None:
        completion, suggestions = settings.completion, settings.suggestions
        limits = Limits(completion.max_tokens, completion.max_lines)
        self._scheduler = scheduler
        self._call = call
        self._prefetches, self._warms_up = suggestions.prefetch, suggestions.warm_up
        self.habits = Habits()
        self.store = SuggestionStore(limits, suggestions.max_entries, suggestions.max_kb * 1024)

    def complete(self, client: int, request: Complete, reply: Reply) -> None:
        """Answer `request` of `client` by `reply`, at once where the answer is known."""
        job = Job(client, request, lambda done: self._call(self._written, job, done, reply))
        self.habits.watch(client, request)
        stats = Stats()
        with stats.stage("store"):
            found = self.store.find(client, request)
        if found is None:
            self._scheduler.submit(job)
        else:
            self._scheduler.supersede(job.key)
            self._give(job, _known(job, found, stats), reply)

    def warm(self, client: int, request: Complete) -> None:
        """Prepare the answer to `request` while nothing is asked."""
        if self._warms_up and self.store.find(client, request) is None:
            self._scheduler.prepare([self._preparation(client, request)])

    def leave(self, client: int) -> None:
        """Forget a client and stop its work."""
        self._scheduler.leave(client)
        self.store.forget(client)
        self.habits.forget(client)

    def _written(self, job: Job, completed: Completed, reply: Reply | None = None) -> None:
        """Keep what the engine wrote, and answer whoever asked for it."""
        if completed.reason in _LASTING and job.written:
            self.store.add(
                job.client, job.request, job.written, completed.alternatives, prepared=job.idle
            )
        if reply is not None:
            self._give(job, completed, reply)

    def _give(self, job: Job, completed: Completed, reply: Reply) -> None:
        """Answer, and go on with what may come next."""
        reply(completed)
        if completed.reason in _LASTING:
            self.habits.show(job.client, job.request, completed.text, completed.replace_after)
            self._foresee(job, completed)

    def _foresee(self, job: Job, completed: Completed) -> None:
        """Prepare the likely states that the store cannot answer yet."""
        if not self._prefetches:
            return
        states = dict(likely(job.request, completed.text, completed.replace_after))
        self._scheduler.prepare(
            [
                self._preparation(job.client, states[kind])
                for kind in self.habits.order()
                if kind in states and self.store.find(job.client, states[kind]) is None
            ]
        )

    def _preparation(self, client: int, request: Complete) -> Job:
        job = Job(client, request, lambda done: self._call(self._written, job, done), idle=True)
        return job


def _known(job: Job, found: Found, stats: Stats) -> Completed:
    source = PREFETCH if found.prepared else STORE
    outcome = found.outcome
    if isinstance(outcome, Shown):
        return job.shown(outcome.text, outcome.replace_after, stats, found.alternatives, source)
    return job.silence(outcome.reason, outcome.detail, stats, source)
