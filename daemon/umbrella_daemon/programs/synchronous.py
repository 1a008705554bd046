"""The client for programs without an event loop: one runs in a thread of the client's own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar, Unpack

from umbrella_daemon import wire
from umbrella_daemon.programs.asynchronous import AsyncClient, AsyncStream, Messages, Options
from umbrella_daemon.programs.results import Completion, Piece, Result
from umbrella_daemon.settings import Settings

T = TypeVar("T")


class Wait(Protocol):
    """Runs work in the client's thread and gives what came of it."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work`."""
        ...


class Stream:
    """An answer as it comes: iterate for its pieces, or call `result()` for all of it.

    `cancel()` and the end of a `with` stop the engine's work.
    """

    def __init__(self, wait: Wait, stream: AsyncStream) -> None:
        self._wait = wait
        self._stream = stream

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        """Give the next piece; raises GenerationError where the answer failed."""
        piece = self._wait(self._next())
        if piece is None:
            raise StopIteration
        return piece

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Stop the engine's work; what came so far stays."""
        self._wait(self._stream.cancel())

    def result(self) -> Result:
        """Wait for the end and give the whole answer; raises as iterating does."""
        return self._wait(self._stream.result())

    def so_far(self) -> Result:
        """Give what came until now; it was cancelled unless its end came."""
        return self._stream.so_far()

    async def _next(self) -> Piece | None:
        return await anext(self._stream, None)


class Client:
    """`AsyncClient` for programs without an event loop; see there for what the arguments mean."""

    def __init__(
        self,
        address: str = "",
        *,
        token: str = "",
        settings: Settings | None = None,
        start: bool = True,
        name: str = "client",
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="umbrella-client", daemon=True
        )
        self._thread.start()

        async def make() -> AsyncClient:
            return AsyncClient(address, token=token, settings=settings, start=start, name=name)

        try:
            self._client = self._wait(make())
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def generate(
        self,
        prompt: str,
        *,
        suffix: str | None = None,
        path: str = "",
        language: str = "",
        **options: Unpack[Options],
    ) -> Stream:
        """Continue `prompt`, or fill the hole between it and `suffix`, as the model writes it."""
        stream = self._client.generate(
            prompt, suffix=suffix, path=path, language=language, **options
        )
        return Stream(self._wait, stream)

    def chat(self, messages: Messages, **options: Unpack[Options]) -> Stream:
        """Give the assistant's next turn; `messages` is one text of the user or the whole talk."""
        return Stream(self._wait, self._client.chat(messages, **options))

    def complete(
        self,
        prefix: str,
        suffix: str = "",
        *,
        path: str = "",
        language: str = "",
        max_tokens: int | None = None,
        max_lines: int | None = None,
        candidates: int = 1,
    ) -> Completion:
        """Give what an editor would show between `prefix` and `suffix`, or why it shows nothing."""
        return self._wait(
            self._client.complete(
                prefix,
                suffix,
                path=path,
                language=language,
                max_tokens=max_tokens,
                max_lines=max_lines,
                candidates=candidates,
            )
        )

    def tokenize(self, text: str) -> list[int]:
        """Give the ids of a text; what spells a control token is text."""
        return self._wait(self._client.tokenize(text))

    def detokenize(self, ids: Sequence[int]) -> str:
        """Give the text of ids; control tokens have none."""
        return self._wait(self._client.detokenize(ids))

    def status(self) -> wire.Status:
        """Give the state of what answers: phase, model, counts."""
        return self._wait(self._client.status())

    def close(self) -> None:
        """Let go of the connection; the daemon lives on."""
        if not self._loop.is_closed():
            self._wait(self._client.close())
            self._end()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the client's thread; a key that interrupts the program interrupts it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
