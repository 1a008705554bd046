"""Where an answer comes from: what is known already, else the engine; and what is prepared next.

Belongs to the thread of the event loop. Promises: each request is answered once; what the store
knows is answered before this returns; whatever is prepared gives way to every request. Knows
nothing of sockets, and of the engine only that the scheduler has it.
"""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from umbrella_daemon.resident.context import Context, snippets
from umbrella_daemon.resident.foresight import in_full, likely, otherwise
from umbrella_daemon.resident.habits import Habits
from umbrella_daemon.resident.job import PREFETCH, STORE, Job, Key
from umbrella_daemon.resident.postprocess import Shown
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.resident.suggestions import Found, SuggestionStore
from umbrella_daemon.scope import Refusal, Scope
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Complete, Completed, Reason
from umbrella_engine.stats import Stats

# answers that say what the engine makes of a state, not what became of a request
_LASTING: Final = frozenset({"", Reason.EMPTY, Reason.REPEATS, Reason.LOW_CONFIDENCE})

_FAILED: Final = frozenset({Reason.SUPERSEDED, Reason.CANCELLED, Reason.BACKEND_DOWN, Reason.ERROR})

Call = Callable[..., object]  # calls a function in the event loop's thread, from any thread
Reply = Callable[[Completed], None]


class Answers:
    """Answers requests of all clients, out of the store or through `scheduler`."""

    def __init__(self, settings: Settings, scheduler: Scheduler, call: Call) -> None:
        suggestions = settings.suggestions
        self._scope = Scope(settings.completion)
        self._scheduler = scheduler
        self._call = call
        self._prefetches, self._warms_up = suggestions.prefetch, suggestions.warm_up
        self._newest: dict[Key, Job] = {}
        self._plan = 0  # number of the newest
        self.context = Context(settings, call)
        self.habits = Habits()
        self.store = SuggestionStore(
            settings.completion, suggestions.max_entries, suggestions.max_kb * 1024
        )

    def complete(self, client: int, request: Complete, reply: Reply) -> None:
        """Answer `request` of `client` by `reply`, at once where the answer is known."""
        kept_out = self._refusal(request)
        if not kept_out:
            request = self.context.given(client, request)
        job = Job(
            client,
            request,
            answer=lambda done: self._call(self._answer, job, done, reply),
            keep=lambda done: self._call(self._keep, job, done),
            again=lambda: self._call(self._ask, job, reply),
        )
        if kept_out:
            self.store.forget(client, request.document)
            reply(job.silence(kept_out.reason, kept_out.detail))
            return
        self.habits.watch(client, request)
        self._newest[job.key] = job
        self._ask(job, reply)

    def warm(self, client: int, request: Complete) -> None:
        """Prepare the answer to `request` while nothing is asked."""
        if not self._warms_up or self._refusal(request):
            return
        request = self.context.given(client, request)
        if self.store.find(client, request) is None:
            self._scheduler.prepare([self._preparation(client, request)])

    def leave(self, client: int) -> None:
        """Forget a client and stop its work."""
        self._scheduler.leave(client)
        for key in [key for key in self._newest if key[0] == client]:
            del self._newest[key]
        self.store.forget(client)
        self.habits.forget(client)
        self.context.leave(client)

    def in_scope(self, path: str, language: str) -> bool:
        """Whether the file at `path` may be read and completed."""
        return self._scope.refusal(path, language) is None

    def _refusal(self, request: Complete) -> Refusal | None:
        return self._scope.refusal(request.path or request.document, request.language)

    def _ask(self, job: Job, reply: Reply) -> None:
        """Answer `job` out of the store, else have the engine do it."""
        if self._newest.get(job.key) is not job:
            reply(job.silence(Reason.SUPERSEDED))
            return
        stats = Stats()
        with stats.stage("store"):
            # what is in the store says nothing of how it was written
            found = None if job.request.explain else self.store.find(job.client, job.request)
        if found is None:
            self._scheduler.submit(job)
        else:
            self._scheduler.supersede(job.key)
            self._give(job, _known(job, found, stats), reply)

    def _answer(self, job: Job, completed: Completed, reply: Reply) -> None:
        self._keep(job, completed)
        self._give(job, completed, reply)

    def _keep(self, job: Job, completed: Completed) -> None:
        """Remember what the engine wrote, also where it was stopped before it was done."""
        request = job.request
        if completed.reason not in _LASTING:
            request = replace(request, candidates=1)
        if job.written:
            self.store.add(
                job.client, request, job.written, completed.alternatives, prepared=job.idle
            )

    def _give(self, job: Job, completed: Completed, reply: Reply) -> None:
        """Answer, and go on with what may come next."""
        if self._newest.get(job.key) is job:
            del self._newest[job.key]
        reply(completed)
        if completed.reason in _LASTING:
            self.habits.show(job.client, job.request, completed.text, completed.replace_after)
            self._foresee(job, completed)

    def _foresee(self, job: Job, completed: Completed) -> None:
        """Prepare the likely states that the store cannot answer yet."""
        if not self._prefetches or job.request.explain:  # nobody types there
            return
        states = dict(likely(job.request, completed.text, completed.replace_after))
        plan = self._with_context(job)
        if completed.reason == Reason.LOW_CONFIDENCE:
            plan += self._preparations(job.client, [in_full(job.request)])
        for kind in self.habits.order():
            if kind == "other":
                plan.append(self._probe(job, completed.text))
            elif kind in states:
                plan += self._preparations(job.client, [states[kind]])
        plan.append(self._return(job))
        self._scheduler.prepare(plan)

    def _return(self, job: Job) -> Job:
        """Bring the cache back to where the cursor is: the next line's prompt may have cut it."""
        request = in_full(job.request)
        return Job(job.client, request, answer=_nobody, keep=_nobody, idle=True, probes=True)

    def _with_context(self, job: Job) -> list[Job]:
        """Read the document anew with what was found in others, so that the next key need not."""
        client, document = job.key
        self.context.look(client, job.request)
        found = self.context.found(client, document)
        if found is None:
            return []
        ready = self._preparation(client, replace(job.request, snippets=snippets(found)))
        keep = ready.keep

        def adopt(done: Completed) -> None:
            keep(done)
            if done.reason not in _FAILED:
                self._call(self.context.adopt, client, document, found)

        ready.keep = adopt
        return [ready]

    def _preparations(self, client: int, requests: Iterable[Complete]) -> list[Job]:
        return [
            self._preparation(client, request)
            for request in requests
            if self.store.find(client, request) is None
        ]

    def _preparation(self, client: int, request: Complete) -> Job:
        job = Job(
            client,
            request,
            answer=_nobody,
            keep=lambda done: self._call(self._keep, job, done),
            idle=True,
        )
        return job

    def _probe(self, asked: Job, shown: str) -> Job:
        """Find out what else may be typed than is shown, and prepare that first of all."""
        plan = self._plan = self._plan + 1

        def branch() -> None:
            if plan == self._plan:
                states = otherwise(asked.request, shown, job.beginnings)
                self._scheduler.prepare_first(self._preparations(asked.client, states))

        job = Job(
            asked.client,
            in_full(asked.request),
            answer=_nobody,
            keep=lambda _: self._call(branch),
            idle=True,
            probes=True,
        )
        return job


def _nobody(_: Completed) -> None:
    """Nobody asked."""


def _known(job: Job, found: Found, stats: Stats) -> Completed:
    source = PREFETCH if found.prepared else STORE
    job.confidence = found.probability
    outcome = found.outcome
    if isinstance(outcome, Shown):
        return job.shown(outcome.text, outcome.replace_after, stats, found.alternatives, source)
    return job.silence(outcome.reason, outcome.detail, stats, source)
