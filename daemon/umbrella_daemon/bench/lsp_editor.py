"""Our side of a replay: the real language server in a process of its own, with a daemon of its own.

The daemon has another socket than the user's, so that neither disturbs the other, and the settings
of the user. What became of each request is told by the daemon's traces.
"""

import asyncio
from collections import defaultdict, deque
from pathlib import Path
from typing import Final, Self

import msgspec

from umbrella_daemon.bench.replay import Answer, Key, Work
from umbrella_daemon.bench.result import Subject
from umbrella_daemon.client import DaemonClient, stop_daemon
from umbrella_daemon.lsp_probe import LanguageServer, Position, ProbeError, Range
from umbrella_daemon.settings import RecordingSettings, Settings
from umbrella_daemon.typing_trace import Change, Open, Place
from umbrella_daemon.wire import Reason, Status, Trace

SETTLE_SECONDS: Final = 0.004  # between two looks whether the daemon is done
QUIET_LOOKS: Final = 2  # in a row
MOST_TRACES: Final = 100_000
TAKEN_BACK: Final = frozenset({Reason.CANCELLED, Reason.SUPERSEDED})


class LspEditor:
    """One editor window; made by `start`."""

    name = "umbrella"

    def __init__(self, settings: Settings, server: LanguageServer, client: DaemonClient) -> None:
        self._settings = settings
        self._server = server
        self._client = client
        self._versions: dict[str, int] = {}
        self._asked: list[tuple[str, int]] = []

    @classmethod
    async def start(cls, settings: Settings, folder: Path) -> Self:
        """Start server and daemon, with a socket in `folder`; wait until the model is loaded.

        Raises ProbeError, DaemonError.
        """
        daemon = msgspec.structs.replace(
            settings.daemon, socket=str(folder / "d.sock"), traces=MOST_TRACES
        )
        # what is replayed is no typing of the user's
        settings = msgspec.structs.replace(settings, daemon=daemon, recording=RecordingSettings())
        client = await DaemonClient.connect(settings, "umbrella bench")
        try:
            phase = await client.ready()
            if phase.phase != "ready":
                raise ProbeError(f"The model could not be loaded: {phase.message}")
            server = await LanguageServer.start()
            await server.initialize(msgspec.to_builtins(settings))
        except BaseException:
            await client.stop()
            raise
        return cls(settings, server, client)

    async def close(self) -> None:
        """End server and daemon."""
        await self._server.close()
        await self._client.close()
        await stop_daemon(self._settings)

    async def open(self, event: Open) -> None:
        """Open a document, once more where it is open."""
        if event.document in self._versions:
            await self.close_document(event.document)
        self._versions[event.document] = 1
        self._server.open(_uri(event.document), event.language, event.text)

    async def change(self, event: Change) -> None:
        """Send an edit."""
        self._versions[event.document] += 1
        change: dict[str, object] = {"text": event.text}
        if event.range is not None:
            line, character, last, end = event.range
            change["range"] = Range(Position(line, character), Position(last, end))
        document = {"uri": _uri(event.document), "version": self._versions[event.document]}
        params = {"textDocument": document, "contentChanges": [change]}
        self._server.notify("textDocument/didChange", params)

    async def focus(self, document: str, at: Place) -> None:
        """Tell where the cursor is."""
        params = {"textDocument": {"uri": _uri(document)}, "position": Position(*at)}
        self._server.notify("textDocument/didFocus", params)

    async def close_document(self, document: str) -> None:
        """Close a document."""
        self._versions.pop(document, None)
        params = {"textDocument": {"uri": _uri(document)}}
        self._server.notify("textDocument/didClose", params)

    async def ask(self, document: str, at: Place) -> Answer:
        """Ask as typing does."""
        self._asked.append((document, self._versions[document]))
        item = await self._server.suggest(_uri(document), Position(*at))
        return Answer(item.insert_text if item else "", "engine")

    async def settle(self) -> None:
        """Wait until the daemon has nothing to do, seen more than once in a row."""
        quiet = 0
        await self._server.request("umbrella/stats", None)  # what was told is handled by then
        while quiet < QUIET_LOOKS:
            status = await self._client.status(traces=0)
            quiet = 0 if status.busy else quiet + 1
            await asyncio.sleep(SETTLE_SECONDS)

    async def explain(self, keys: list[Key]) -> None:
        """Fill in from the daemon's traces where answers came from and why there was none."""
        traces: dict[tuple[str, int], deque[Trace]] = defaultdict(deque)
        for trace in (await self._status()).traces:
            traces[trace.document, trace.version].append(trace)
        for key, asked in zip(keys, self._asked, strict=True):
            if not traces[asked]:  # taken back before the server had read it
                continue
            trace = traces[asked].popleft()
            if trace.reason not in TAKEN_BACK:
                key.answer = Answer(key.answer.text, trace.source, trace.reason)

    async def subject(self) -> Subject:
        """Say what is resident."""
        status = await self._status()
        model = status.model
        return Subject(model.name, model.target, model.draft, status.device, status.dtype)

    async def work(self) -> Work:
        """Add the daemon's traces up."""
        status = await self._status()
        work = Work(
            ahead_prefilled=status.prepared.prompt_tokens,
            ahead_generated=status.prepared.completion_tokens,
        )
        for trace in status.traces:
            if trace.source == "engine" and trace.prompt_tokens:
                work.requests += 1
                work.prompt_tokens += trace.prompt_tokens
                work.prefilled += trace.prefilled_tokens
                work.generated += trace.generated_tokens
                work.steps += trace.target_steps
                work.accepted += trace.accepted_tokens
                work.free_ms.append(trace.ms.get("queue", 0.0))
            if trace.reason in TAKEN_BACK:
                work.taken_back += 1
                work.wasted_ms += trace.ms.get("total", 0.0)
        return work

    async def _status(self) -> Status:
        return await self._client.status(traces=MOST_TRACES)


def _uri(document: str) -> str:
    return f"file:///umbrella-bench/{document}"
