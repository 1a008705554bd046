"""The transport over HTTP, to `umbrella api`; knows nothing of the daemon behind it.

What it gives is what the socket gives, but for the ids of tokens in conversations (-1), times and
steps of conversations (0), and `complete`, which is what the model writes, without our rules.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import httpx
from msgspec.structs import replace

from umbrella_daemon import wire
from umbrella_daemon.link import DaemonError
from umbrella_daemon.programs.dialects import dialect_of
from umbrella_daemon.programs.results import GenerationError
from umbrella_daemon.wire import Fault, Generated

CONNECT_SECONDS: Final = 10.0
DATA: Final = "data: "
LOADING: Final = 503
SERVER_ERROR: Final = 500


class HttpTransport:
    """A server at `address`; see `transport.Transport`."""

    def __init__(self, address: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=address.rstrip("/").removesuffix("/v1"),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            trust_env=False,  # what is asked of this machine goes through no proxy
        )

    async def generate(self, request: wire.Generate) -> AsyncGenerator[Generated]:
        """See `Transport`."""
        dialect = dialect_of(request)
        last = Generated(0)
        async with self._answer("POST", dialect.path, dialect.body(request)) as answer:
            async for line in answer.aiter_lines():
                if not line.startswith(DATA + "{"):
                    continue
                event = json.loads(line[len(DATA) :])
                if "error" in event:
                    raise GenerationError(_said(event), Fault.INTERNAL)
                piece = dialect.piece(event)
                last = replace(piece, finish=piece.finish or last.finish)
                if piece.text or piece.tokens:
                    yield replace(piece, done=False, finish="")
        if not last.finish:
            raise DaemonError("the server ended the answer before its end; ask again")
        yield replace(last, text="", tokens=(), done=True)

    async def complete(self, request: wire.Complete) -> wire.Completed:
        """See `Transport`."""
        body = {
            "input_prefix": request.prefix,
            "input_suffix": request.suffix,
            "n_predict": request.max_tokens or -1,
        }
        found = await self._ask("POST", "/infill", body)
        return wire.Completed(0, str(found["content"]))

    async def tokenize(self, text: str) -> wire.Tokens:
        """See `Transport`."""
        body = {"content": text, "parse_special": False}
        found = await self._ask("POST", "/tokenize", body)
        return wire.Tokens(0, tuple(found["tokens"]), ())

    async def detokenize(self, ids: Sequence[int]) -> wire.Text:
        """See `Transport`."""
        found = await self._ask("POST", "/detokenize", {"tokens": list(ids)})
        return wire.Text(0, str(found["content"]))

    async def status(self) -> wire.Status:
        """Give what the server tells of the daemon: its model."""
        found = (await self._ask("GET", "/v1/models"))["data"][0]
        meta = found.get("meta") or {}
        model = wire.Model(
            found["id"],
            context_tokens=meta.get("n_ctx", 0),
            vocab_size=meta.get("n_vocab", 0),
            fim=meta.get("fim", False),
        )
        return wire.Status(
            0, wire.Phase("ready", found["id"]), "", 0, 0.0, found["id"], "", "", 0, [], 0, 0, {},
            [], model=model,
        )  # fmt: skip

    async def close(self) -> None:
        """See `Transport`."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        async with self._answer(method, path, body) as answer:
            return json.loads(await answer.aread())

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: object = None
    ) -> AsyncIterator[httpx.Response]:
        """Ask; the answer is good where it is given. Raises DaemonError."""
        try:
            request = self._http.build_request(method, path, json=body)
        except ValueError as error:  # half a character, or no number
            raise GenerationError(f"the request cannot be sent: {error}", Fault.REQUEST) from None
        try:
            answer = await self._http.send(request, stream=True)
            async with aclosing(answer):
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(answer)
                yield answer
        except httpx.HTTPError as error:
            raise DaemonError(
                f"no answer from {self._http.base_url} ({error or type(error).__name__}); start "
                "the server with `umbrella api`"
            ) from None


def _refusal(answer: httpx.Response) -> DaemonError:
    try:
        said = _said(answer.json())
    except ValueError:
        said = f"the server answered {answer.status_code}; it is no server of ours"
    if answer.status_code == LOADING:
        return GenerationError(said, Fault.LOADING)
    own = answer.status_code >= SERVER_ERROR
    return GenerationError(said, Fault.INTERNAL if own else Fault.REQUEST)


def _said(body: dict[str, Any]) -> str:
    error = body["error"]
    return str(error["message"] if isinstance(error, dict) else error)
