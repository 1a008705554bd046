"""The client for programs that run an event loop; `synchronous` is the same for all others."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TypedDict, Unpack
from urllib.parse import urlsplit

from msgspec.structs import replace

from umbrella_daemon import wire
from umbrella_daemon.api_token import read_token
from umbrella_daemon.paths import api_token_path
from umbrella_daemon.programs.results import Completion, GenerationError, Piece, Result, Usage
from umbrella_daemon.programs.transport import SocketTransport, Transport
from umbrella_daemon.settings import Settings, load_settings
from umbrella_daemon.wire import Message

Messages = str | Iterable[Message | Mapping[str, str]]


class Options(TypedDict, total=False):
    """How text is generated; every one may be left out."""

    max_tokens: int  # at most; by default as many as fit
    stop: Sequence[str]  # ends before any of these texts
    temperature: float  # 0: greedy, the default
    top_k: int  # 0: all
    top_p: float
    min_p: float
    seed: int | None  # equal ones give equal answers
    logprobs: bool  # whether `tokens` are wanted


class AsyncStream:
    """An answer as it comes: iterate for its pieces, or await `result()` for all of it.

    `cancel()` and the end of an `async with` stop the engine's work.
    """

    def __init__(self, pieces: AsyncGenerator[wire.Generated]) -> None:
        self._pieces = pieces
        self._text: list[str] = []
        self._tokens: list[wire.Token] = []
        self._last: wire.Generated | None = None

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        """Give the next piece; raises GenerationError where the answer failed."""
        async for piece in self._pieces:
            self._last = piece
            if piece.finish == wire.Finish.ERROR:
                raise GenerationError(piece.detail, piece.error)
            self._text.append(piece.text)
            self._tokens += piece.tokens
            if piece.text or piece.tokens:
                return Piece(piece.text, piece.tokens)
        raise StopAsyncIteration

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.cancel()

    async def cancel(self) -> None:
        """Stop the engine's work; what came so far stays."""
        await self._pieces.aclose()

    async def result(self) -> Result:
        """Wait for the end and give the whole answer; raises as iterating does."""
        async for _ in self:
            pass
        return self.so_far()

    def so_far(self) -> Result:
        """Give what came until now; it was cancelled unless its end came."""
        last = self._last
        ended = last is not None and last.done
        return Result(
            "".join(self._text),
            last.finish if last is not None and ended else wire.Finish.CANCELLED,
            Usage() if last is None else last.usage,
            tuple(self._tokens),
            "" if last is None else last.stopped_by,
        )


class AsyncClient:
    """Asks the daemon of this user, or what serves HTTP at `address`.

    Without an address it uses the daemon's socket and starts the daemon unless `start` is false.
    `address` is that of `umbrella api` ("http://127.0.0.1:8012"); `token` is then needed, unless
    it is the one of this user's own. Everything raises DaemonError with a message for a person.
    """

    def __init__(
        self,
        address: str = "",
        *,
        token: str = "",
        settings: Settings | None = None,
        start: bool = True,
        name: str = "client",
        transport: Transport | None = None,
    ) -> None:
        self._transport = transport or _transport(address, token, settings, name, start=start)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    def generate(
        self,
        prompt: str,
        *,
        suffix: str | None = None,
        path: str = "",
        language: str = "",
        **options: Unpack[Options],
    ) -> AsyncStream:
        """Continue `prompt`, or fill the hole between it and `suffix`, as the model writes it.

        `path` and `language` (an LSP language id) tell the model what the hole is in.
        """
        request = wire.Generate(0, prompt, suffix=suffix, path=path, language=language)
        return self._stream(request, options)

    def chat(self, messages: Messages, **options: Unpack[Options]) -> AsyncStream:
        """Give the assistant's next turn; `messages` is one text of the user or the whole talk.

        Turns are `Message("user", "…")` or {"role": "user", "content": "…"}.
        """
        return self._stream(wire.Generate(0, messages=_turns(messages)), options)

    async def complete(
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
        request = wire.Complete(
            id=0,
            document=path or "untitled",
            version=0,
            language=language,
            path=path,
            prefix=prefix,
            suffix=suffix,
            explicit=True,
            max_tokens=max_tokens,
            max_lines=max_lines,
            candidates=candidates,
            context=False,
        )
        found = await self._transport.complete(request)
        others = tuple(one.text for one in found.alternatives)
        return Completion(found.text, found.reason, found.detail, found.replace_after, others)

    def _stream(self, request: wire.Generate, options: Options) -> AsyncStream:
        stop = tuple(options.get("stop", ()))
        request = replace(request, **{**options, "stop": stop})
        return AsyncStream(self._transport.generate(request))

    async def tokenize(self, text: str) -> list[int]:
        """Give the ids of a text; what spells a control token is text."""
        found = await self._transport.tokenize(text)
        _check(found.error, found.detail)
        return list(found.ids)

    async def detokenize(self, ids: Sequence[int]) -> str:
        """Give the text of ids; control tokens have none."""
        found = await self._transport.detokenize(ids)
        _check(found.error, found.detail)
        return found.text

    async def status(self) -> wire.Status:
        """Give the state of what answers: phase, model, counts."""
        return await self._transport.status()

    async def close(self) -> None:
        """Let go of the connection; the daemon lives on."""
        await self._transport.close()


def _transport(
    address: str, token: str, settings: Settings | None, name: str, *, start: bool
) -> Transport:
    if address:
        from umbrella_daemon.programs.http import HttpTransport  # costs more than all the rest

        return HttpTransport(address, token or own_token(address))
    return SocketTransport(settings or load_settings(), name, start=start)


def own_token(address: str) -> str:
    """Give the token of this user's own server, "" for any other."""
    here = urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
    return read_token(api_token_path()) if here else ""


def _turns(messages: Messages) -> tuple[Message, ...]:
    if isinstance(messages, str):
        return (Message("user", messages),)
    return tuple(
        one if isinstance(one, Message) else Message(one["role"], one["content"])
        for one in messages
    )


def _check(error: str, detail: str) -> None:
    if error:
        raise GenerationError(detail, error)
