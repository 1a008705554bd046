"""How a client reaches the engine: a transport gives pieces and answers, whatever lies between."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from umbrella_daemon import wire
from umbrella_daemon.client import DaemonClient
from umbrella_daemon.programs.results import GenerationError
from umbrella_daemon.settings import Settings


class Transport(Protocol):
    """What clients need; everything raises DaemonError."""

    def generate(self, request: wire.Generate) -> AsyncGenerator[wire.Generated]:
        """Give the pieces of an answer; closing the generator cancels the work."""
        ...

    async def complete(self, request: wire.Complete) -> wire.Completed:
        """Give what an editor would show."""
        ...

    async def tokenize(self, text: str) -> wire.Tokens:
        """Give the ids of a text."""
        ...

    async def detokenize(self, ids: Sequence[int]) -> wire.Text:
        """Give the text of ids."""
        ...

    async def status(self) -> wire.Status:
        """Give the daemon's state."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class SocketTransport:
    """The daemon's own socket; starts the daemon and waits until its model is there."""

    def __init__(self, settings: Settings, name: str, *, start: bool) -> None:
        self._daemon = DaemonClient(settings, name, start=start)

    async def generate(self, request: wire.Generate) -> AsyncGenerator[wire.Generated]:
        """See `Transport`."""
        await self._ready()
        pieces = self._daemon.generate(request)
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    async def complete(self, request: wire.Complete) -> wire.Completed:
        """See `Transport`."""
        await self._ready()
        return await self._daemon.ask(request)

    async def tokenize(self, text: str) -> wire.Tokens:
        """See `Transport`."""
        await self._ready()
        return await self._daemon.tokenize(text)

    async def detokenize(self, ids: Sequence[int]) -> wire.Text:
        """See `Transport`."""
        await self._ready()
        return await self._daemon.detokenize(ids)

    async def status(self) -> wire.Status:
        """See `Transport`."""
        return await self._daemon.status(0)

    async def close(self) -> None:
        """See `Transport`."""
        await self._daemon.close()

    async def _ready(self) -> None:
        phase = await self._daemon.ready()
        if phase.phase == "failed":
            raise GenerationError(phase.message, wire.Fault.FAILED)
