"""Which request the one engine thread works on next, and when it stops.

Every job that is submitted is answered exactly once: whoever takes a job out of the queue owes its
answer. The newest request of a document wins; it takes the place in line of the one it replaces,
so that documents are served in turn. What the user asked for by a key goes before what was asked
for by typing. Generations (chats, requests of programs) take steps in turn while no editor waits.
While nothing is asked the thread prepares what may be asked next; that gives way to everything else
within one forward pass. Knows nothing of sockets, prompts or models.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from umbrella_daemon.resident.costs import cost_of, together
from umbrella_daemon.resident.generation import Generation
from umbrella_daemon.resident.job import Job, Key
from umbrella_daemon.resident.turns import Turns
from umbrella_daemon.wire import Completed, Finish, Reason, Totals

log: Final = logging.getLogger(__name__)

LINGER_SECONDS: Final = 0.25  # that the engine goes on with what was taken back


Advance = Callable[[Generation, Callable[[], bool]], bool]  # see `Generation.advance`


class Scheduler:
    """A queue of jobs and the one thread that loads the engine and serves them."""

    def __init__(
        self, load: Callable[[], None], work: Callable[[Job], Completed], advance: Advance
    ) -> None:
        self._load = load
        self._work = work
        self._advance = advance
        self._turns = Turns()
        self._generating: Generation | None = None
        self._waiting: dict[Key, Job] = {}  # in the order of arrival
        self._idle: deque[Job] = deque()  # what to prepare, the likeliest first
        self._running: Job | None = None
        self.prepared = Totals()  # spent while nothing was asked
        self._load_wanted = True
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to load, then to serve."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue `job`; the older request of its document is answered `superseded`.

        Where what is being written leads to `job` it goes on, and `job` is asked again after it.
        """
        with self._changed:
            closed = self._closed
            older = []
            if not closed:
                older = [self._waiting[job.key]] if job.key in self._waiting else []
                self._waiting[job.key] = job
                older += self._make_way_for(job)
                self._idle.clear()
                self._changed.notify()
        if closed:
            job.answer(job.silence(Reason.CANCELLED, "The daemon is stopping."))
        for one in older:
            one.answer(one.silence(Reason.SUPERSEDED))

    def generate(self, generation: Generation) -> None:
        """Give `generation` its turns while no editor waits."""
        with self._changed:
            closed = self._closed
            if not closed:
                self._turns.add(generation)
                if self._running is not None and self._running.idle and not self._waiting:
                    self._stop_running(Reason.SUPERSEDED)
                self._changed.notify()
        if closed:
            generation.end(Finish.CANCELLED, detail="The daemon is stopping.")

    def share(self, lanes: int) -> None:
        """Let as many generations be open as leave one of `lanes` to the editors."""
        with self._changed:
            self._turns.most = max(1, lanes - 1)

    def under_way(self) -> tuple[int, int]:
        """Give how many generations are under way, and how many requests of all kinds wait."""
        with self._changed:
            generations = len(self._turns) + (self._generating is not None)
            waiting = self._turns.waiting
            return generations - waiting, waiting + len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether anything is being done or waits to be."""
        with self._changed:
            under_way = self._running is not None or self._generating is not None
            return under_way or bool(self._waiting or self._turns or self._idle)

    def supersede(self, key: Key) -> None:
        """Stop the requests of a document: a newer one was answered without the engine."""
        with self._changed:
            older = self._waiting.pop(key, None)
            if self._running is not None and not self._running.idle and self._running.key == key:
                self._stop_running(Reason.SUPERSEDED)
        if older is not None:
            older.answer(older.silence(Reason.SUPERSEDED))

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Do `jobs` while nothing is asked, instead of those named before.

        What is prepared right now goes on where it is among them. None of them is answered; those
        that are done are kept.
        """
        with self._changed:
            running = self._running
            if running is not None and running.idle:
                others = [job for job in jobs if not running.prepares(job)]
                if len(others) < len(jobs):
                    running.deadline = math.inf
                elif not self._waiting:
                    self._stop_running(Reason.SUPERSEDED)
                jobs = others
            self._idle = deque(() if self._closed else jobs)
            self._changed.notify()

    def prepare_first(self, jobs: Sequence[Job]) -> None:
        """Do `jobs` before everything else that is to be prepared."""
        with self._changed:
            if not self._closed and not self._waiting:
                self._idle.extendleft(reversed(jobs))
            self._changed.notify()

    def cancel(self, client: int, request: int) -> None:
        """Stop request `request` of `client`; nothing happens when it is answered already.

        An editor takes a request back when a key is pressed. The next request may well ask for the
        rest of what is being written, so the engine goes on for a moment unless something else is
        to do.
        """
        self._stop_generations(lambda one: (one.client, one.request.id) == (client, request))
        with self._changed:
            running = self._running
            busy = self._waiting or self._turns
            if running is None or busy or not running.is_request(client, request):
                running = None
            else:
                running.idle = True
        if running is not None:
            running.answer(running.silence(Reason.CANCELLED))
        elif not self._drop(lambda job: job.is_request(client, request)):
            return
        with self._changed:
            if self._running is not None and self._running.idle and not self._waiting:
                self._running.deadline = time.perf_counter() + LINGER_SECONDS

    def leave(self, client: int) -> None:
        """Stop everything that `client` asked for."""
        self._drop(lambda job: job.client == client)
        self._stop_generations(lambda one: one.client == client)

    def reload(self) -> None:
        """Load once more, before anything else is served."""
        with self._changed:
            self._load_wanted = True
            self._changed.notify()

    def close(self) -> None:
        """Stop everything and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._drop(lambda _: True)
        self._stop_generations(lambda _: True)

    def join(self, seconds: float) -> bool:
        """Wait for the thread to end; whether it did."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _drop(self, unwanted: Callable[[Job], bool]) -> bool:
        """Answer what is unwanted among those that wait, and stop what runs if it is."""
        with self._changed:
            dropped = [job for job in self._waiting.values() if unwanted(job)]
            for job in dropped:
                del self._waiting[job.key]
            self._idle = deque(job for job in self._idle if not unwanted(job))
            if self._running is not None and unwanted(self._running):
                self._running.stopped = self._running.stopped or Reason.CANCELLED
        for job in dropped:
            job.answer(job.silence(Reason.CANCELLED))
        return bool(dropped)

    def _stop_generations(self, unwanted: Callable[[Generation], bool]) -> None:
        """End generations: at once what was never begun, the others in their thread."""
        with self._changed:
            dropped = self._turns.stop(unwanted)
            if self._generating is not None and unwanted(self._generating):
                self._generating.stopped = True
        for one in dropped:
            one.end(Finish.CANCELLED)

    def _make_way_for(self, job: Job) -> list[Job]:
        """Stop what runs if `job` needs it; give it if it goes on although nobody waits for it."""
        running = self._running
        if running is None:
            return []
        if running.leads_to(job):
            running.deadline, running.wanted = math.inf, running.typed_before(job)
            asked, running.idle = not running.idle, True
            return [running] if asked else []
        if running.idle or running.key == job.key:
            self._stop_running(Reason.SUPERSEDED)
        return []

    def _stop_running(self, reason: str) -> None:
        if self._running is not None:
            self._running.stopped = self._running.stopped or reason

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._due)
                if self._closed and not self._turns:
                    return
                loading, self._load_wanted = self._load_wanted and not self._closed, False
                task = None if loading else self._next()
                self._running = task if isinstance(task, Job) else None
                self._generating = task if isinstance(task, Generation) else None
            if task is None:
                self._load()
            elif isinstance(task, Job):
                self._finish(task, self._serve(task))
            else:
                self._take_turn(task)

    def _take_turn(self, generation: Generation) -> None:
        """Take one step of `generation`; it gives way to editors until it has its first token."""
        more = self._advance(generation, lambda: bool(self._waiting))
        with self._changed:
            self._generating = None
            if more:
                self._turns.put_back(generation)

    def _finish(self, job: Job, completed: Completed) -> None:
        """Hand over what came of `job`, and have the request that waited for it asked again."""
        with self._changed:
            self._running = None
            if job.idle:
                self.prepared = together(self.prepared, cost_of(completed.trace))
            following = self._waiting.get(job.key) if job.idle else None
            if following is not None and job.wanted is not None and not job.stopped:
                del self._waiting[job.key]
            else:
                following = None
        if job.idle:
            job.keep(completed)
        else:
            job.answer(completed)
        if following is not None:
            following.again()

    def _due(self) -> bool:
        return bool(self._closed or self._load_wanted or self._waiting or self._turns or self._idle)

    def _next(self) -> Job | Generation:
        """Take the first explicit job out of the queue, else the first, else a generation's turn.

        Where there are none, take what is to be prepared.
        """
        if not self._waiting:
            return self._turns.next() if self._turns else self._idle.popleft()
        jobs = self._waiting.values()
        job = next((job for job in jobs if job.request.explicit), None) or next(iter(jobs))
        del self._waiting[job.key]
        return job

    def _serve(self, job: Job) -> Completed:
        try:
            return self._work(job)
        except BaseException as error:  # a panic in a compiled tokenizer is no Exception
            log.exception("request %d of client %d failed", job.request.id, job.client)
            return job.silence(
                Reason.ERROR,
                f"The engine failed ({type(error).__name__}: {error}); `umbrella logs` has the "
                "details. The next request starts afresh.",
            )
