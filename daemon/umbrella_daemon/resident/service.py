"""The resident daemon: its lifetime, its clients and the way of a request between them.

The event loop's thread owns everything here; the engine's thread runs `_load` and `_work` and
speaks back through `_call`.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from umbrella_daemon import __version__, wire
from umbrella_daemon.backends.faults import BackendDown
from umbrella_daemon.paths import lock_path, log_path, socket_path
from umbrella_daemon.resident.answers import Answers
from umbrella_daemon.resident.claim import BACKLOG, Claim
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.connection import Connection
from umbrella_daemon.resident.generation import Generation
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.loading import Loaded, PhaseReport, load_engine
from umbrella_daemon.resident.log import open_log
from umbrella_daemon.resident.memory import Memory
from umbrella_daemon.resident.outage import Outage
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.resident.spelling import refused, spelled
from umbrella_daemon.resident.state import State
from umbrella_daemon.scope import refusal
from umbrella_daemon.settings import Settings, SettingsError
from umbrella_daemon.wire import Completed, Fault, Finish, Generated, Phase, Reason
from umbrella_engine.errors import EngineError
from umbrella_engine.interface import Tokenizer

log: Final = logging.getLogger(__name__)

WATCH_SECONDS: Final = 5.0  # between two looks whether the socket is still ours
SILENT: Final = {  # reasons for silence by phase; LOADING in all others but "ready"
    "failed": Reason.FAILED,
    "backend-down": Reason.BACKEND_DOWN,
}
FAULTS: Final = {"failed": Fault.FAILED, "backend-down": Fault.BACKEND_DOWN}  # of generations
ENGINE_STOP_SECONDS: Final = 5.0  # for the forward pass that is under way
FLUSH_SECONDS: Final = 1.0  # for clients to read their last answers


class Service:
    """Serves clients over `claim`'s socket until told to stop; see `connection.Desk`."""

    def __init__(self, settings: Settings, claim: Claim) -> None:
        self._settings = settings
        self._claim = claim
        self._state = State(settings)
        self._scheduler = Scheduler(self._load, self._work, self._advance)
        self._outage = Outage(self._scheduler.reload)
        self._answers = Answers(settings, self._scheduler, self._call)
        self._memory = Memory(self._may_read if settings.suggestions.workspace else None)
        self._completer: Completer | None = None  # the engine thread's
        self._tokenizer: Tokenizer | None = None
        self._spelling: set[asyncio.Task[None]] = set()
        self._clients: set[Connection] = set()
        self._connections: set[Connection] = set()  # those before their handshake as well
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None

    async def serve(self, listener: socket.socket) -> None:
        """Load and serve; returns when the daemon should exit."""
        server = await self._loop.create_unix_server(self._accept, sock=listener, backlog=BACKLOG)
        self._scheduler.start()
        self._wait_for_clients()
        self._watch()
        await self._stopping.wait()
        server.close()
        self._claim.withdraw()
        await self._finish()

    def arrive(self, connection: Connection) -> None:
        """Take in a client; its arrival is the occasion to try a failed load again."""
        self._clients.add(connection)
        log.info("%s arrived", connection.name)
        if self._idle is not None:
            self._idle.cancel()
        if self._state.phase.phase != "failed":
            connection.send(self._state.phase)
            return
        failure = self._state.phase.message
        self._set_phase(Phase("starting", f"Loading is tried again; it had failed: {failure}"))
        self._scheduler.reload()

    def leave(self, connection: Connection) -> None:
        """Forget a client and stop its work."""
        self._clients.discard(connection)
        log.info("%s left", connection.name)
        self._answers.leave(connection.number)
        if not self._clients:
            self._wait_for_clients()

    def complete(self, connection: Connection, request: wire.Complete) -> None:
        """Answer `request` as soon as can be; at once while there is no engine."""
        reply = partial(self._answer, connection)
        phase = self._state.phase
        if self._answers.in_scope(request.path or request.document, request.language):
            self._memory.watch(request)
        if phase.phase == "ready":
            self._answers.complete(connection.number, request, reply)
        else:
            reason = SILENT.get(phase.phase, Reason.LOADING)
            reply(Job(connection.number, request, reply).silence(reason, _spoken(phase)))

    def generate(self, connection: Connection, request: wire.Generate) -> None:
        """Answer `request` piece by piece; at once while there is no engine."""
        reply = partial(self._call, self._piece, connection)
        generation = Generation(connection.number, request, self._settings.prompt, reply)
        if self._state.phase.phase == "ready":
            self._scheduler.generate(generation)
        else:
            generation.end(Finish.ERROR, *self._unready())

    def spell(self, connection: Connection, request: wire.Tokenize | wire.Detokenize) -> None:
        """Answer with ids or text, from another thread: texts may be long."""
        task = asyncio.create_task(self._spell(connection, request))
        self._spelling.add(task)
        task.add_done_callback(self._spelling.discard)

    def heed(self, connection: Connection, notice: wire.Notice) -> None:
        """Get ready for what may be asked."""
        match notice:
            case wire.Warm(request=request):
                if self._state.phase.phase == "ready":
                    self._answers.warm(connection.number, request)
            case wire.Opened(document=document, language=language, path=path, text=text):
                self._answers.context.heed(connection.number, notice)
                if self._answers.in_scope(path or document, language):
                    self._memory.note(document, text)
            case wire.Closed():
                self._answers.context.heed(connection.number, notice)

    def cancel(self, connection: Connection, request: int) -> None:
        """Stop working on `request`."""
        self._scheduler.cancel(connection.number, request)

    def status(self, request: wire.GetStatus) -> wire.Status:
        """Say how the daemon is."""
        names = sorted(client.name for client in self._clients)
        generating, waiting = self._scheduler.under_way()
        return replace(
            self._state.status(request.id, names, request.traces),
            generating=generating,
            waiting=waiting,
            prepared=self._scheduler.prepared,
            busy=self._scheduler.busy or self._answers.context.looking > 0,
        )

    def stop(self, why: str) -> None:
        """Answer what is open and exit."""
        if not self._stopping.is_set():
            log.info("stopping: %s", why)
            self._stopping.set()

    async def _spell(
        self, connection: Connection, request: wire.Tokenize | wire.Detokenize
    ) -> None:
        if self._tokenizer is None:
            connection.answer(refused(request, *self._unready()))
        else:
            connection.answer(await asyncio.to_thread(spelled, request, self._tokenizer))

    def _unready(self) -> tuple[str, str]:
        """Give why there is no engine: a value of `Fault` and a sentence."""
        phase = self._state.phase
        return FAULTS.get(phase.phase, Fault.LOADING), _spoken(phase)

    def _piece(self, connection: Connection, piece: Generated) -> None:
        connection.piece(piece)
        if piece.error == Fault.BACKEND_DOWN:
            self._set_down(piece.detail)
        if piece.done:
            self._state.record_generation(piece)
            log.info("%s", _account(connection.name, piece))

    def _may_read(self, path: str) -> bool:
        """Say whether a file may be read, from any thread."""
        return refusal(path, "", self._settings.completion) is None

    def _accept(self) -> Connection:
        connection = Connection(self)
        self._connections.add(connection)
        connection.lost.add_done_callback(lambda _: self._connections.discard(connection))
        return connection

    def _answer(self, connection: Connection, completed: Completed) -> None:
        connection.answer(completed)  # first: writing the log takes as long as a small request
        self._state.record(completed)
        log.info("%s", _summary(completed))

    def _set_phase(self, phase: Phase) -> None:
        new = phase.phase != self._state.phase.phase
        log.log(logging.INFO if new else logging.DEBUG, "phase %s", _spoken(phase))
        self._state.phase = phase
        for client in self._clients:
            client.send(phase)

    def _set_loaded(self, loaded: Loaded) -> None:
        self._answers.store.clear()  # another engine may say otherwise
        self._outage.end()
        self._state.loaded(loaded)
        self._memory.serve(loaded.engine)
        self._tokenizer = loaded.engine.tokenizer
        self._scheduler.share(loaded.engine.info.lanes)
        info = loaded.engine.info
        self._set_phase(Phase("ready", f"{loaded.pair} ({info.device}, {info.dtype})"))

    def _set_down(self, why: str) -> None:
        """Tell that the backend is down; loading, which reaches it, is tried until it is not."""
        if self._state.phase.phase != "backend-down" or self._state.phase.message != why:
            self._set_phase(Phase("backend-down", why))
        self._outage.fail()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """Call `function` in the event loop's thread, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(function, *arguments)

    def _load(self) -> None:
        try:
            loaded = load_engine(self._settings, PhaseReport(partial(self._call, self._set_phase)))
        except BackendDown as error:
            self._call(self._set_down, str(error))
        except BaseException as error:  # the thread must live on to try again
            log.exception("loading failed")
            self._call(self._set_phase, Phase("failed", _explained(error)))
        else:
            self._completer = Completer(loaded.engine, self._settings)
            self._call(self._set_loaded, loaded)

    def _work(self, job: Job) -> Completed:
        assert self._completer is not None, "jobs are submitted once the engine is ready"
        try:
            return self._completer.complete(job)
        except BackendDown as error:
            self._call(self._set_down, str(error))
            return job.silence(Reason.BACKEND_DOWN, str(error))

    def _advance(self, generation: Generation, give_way: Callable[[], bool]) -> bool:
        assert self._completer is not None, "generations begin once the engine is ready"
        return self._completer.advance(generation, give_way)

    def _wait_for_clients(self) -> None:
        minutes = self._settings.daemon.idle_minutes
        if minutes > 0:
            why = f"no client for {minutes:g} minutes"
            self._idle = self._loop.call_later(minutes * 60, self.stop, why)

    def _watch(self) -> None:
        if self._claim.holds():
            self._loop.call_later(WATCH_SECONDS, self._watch)
        else:  # clients cannot find us any more; a new daemon can take our place once we are gone
            self.stop("the socket was removed or replaced")

    async def _finish(self) -> None:
        """Answer what is open, let the clients read it, and let go of them."""
        self._scheduler.close()
        self._answers.context.close()
        self._memory.close()
        if self._state.phase.phase == "ready":  # loading cannot be interrupted, nor need it be
            await asyncio.to_thread(self._scheduler.join, ENGINE_STOP_SECONDS)
        await asyncio.sleep(0)  # the last answers are on their way through `_call`
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        if connections:
            await asyncio.wait([one.lost for one in connections], timeout=FLUSH_SECONDS)
        for connection in connections:
            connection.abort()


def run(settings: Settings) -> int:
    """Be the daemon until told to stop; gives the exit status, 0 at once if one runs already.

    Raises SettingsError where the socket or its lock can have no place.
    """
    claim = Claim(socket_path(settings), lock_path(settings))
    if not claim.take():
        sys.stderr.write(f"another daemon serves {claim.path} already\n")
        return 0
    open_log(log_path(), settings.daemon.log_level)
    try:
        asyncio.run(_serve(settings, claim))
    except SettingsError:
        raise
    except Exception:
        log.exception("the daemon failed")
        return 1
    finally:
        claim.withdraw()
        claim.release()
    return 0


async def _serve(settings: Settings, claim: Claim) -> None:
    listener = claim.bind()
    log.info("Umbrella %s serves at %s", __version__, claim.path)
    service = Service(settings, claim)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, service.stop, number.name)
    await service.serve(listener)
    log.info("stopped")


def _spoken(phase: Phase) -> str:
    percent = "" if phase.percent is None else f" {phase.percent} %"
    return f"{phase.phase}{percent}: {phase.message}"


def _explained(error: BaseException) -> str:
    if isinstance(error, EngineError | SettingsError):
        return str(error)
    return (
        f"the model could not be loaded ({type(error).__name__}: {error}); `umbrella logs` has "
        "the details and `umbrella doctor` checks this machine"
    )


def _summary(completed: Completed) -> str:
    """One line of a request for the log; no text of any document."""
    trace = completed.trace
    outcome = completed.reason or f"{len(completed.text)} characters"
    stages = " ".join(f"{stage}={ms:.1f}" for stage, ms in trace.ms.items())
    return (
        f"{trace.document} version={trace.version} {trace.language}: {outcome}; "
        f"prompt={trace.prompt_tokens} reused={trace.reused_tokens} "
        f"prefilled={trace.prefilled_tokens} steps={trace.target_steps} "
        f"drafted={trace.drafted_tokens} accepted={trace.accepted_tokens} "
        f"from={trace.source}; ms {stages}"
    )


def _account(client: str, done: Generated) -> str:
    """One line of a generation for the log; nothing of its text."""
    usage = done.usage
    return (
        f"generation for {client}: {done.finish}{done.error and ', '}{done.error}; "
        f"prompt={usage.prompt_tokens} reused={usage.cached_tokens} "
        f"written={usage.completion_tokens} steps={usage.steps} drafted={usage.drafted_tokens} "
        f"accepted={usage.accepted_tokens}; ms first={usage.first_ms:.1f} "
        f"prompt={usage.prompt_ms:.1f} generate={usage.generate_ms:.1f} total={usage.ms:.1f}"
    )
