"""What stands before every request: who may ask, from where, and how much.

Browsers that a web page tells to ask us (DNS rebinding) name another host: only loopback names are
served. Plain ASGI, so that streams pass through untouched.
"""

import asyncio
import contextlib
import hmac
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbrella_daemon.api.errors import body_of

# nothing of the user's: health as with llama-server, and what the requests look like
OPEN: Final = frozenset({"/health", "/v1/health", "/docs", "/openapi.json"})
HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
BODY_SECONDS: Final = 30.0  # between two parts of a body
LINGER_SECONDS: Final = 10.0  # in which the rest of a refused body is thrown away,
PAUSE_SECONDS: Final = 2.0  # and between two parts of it


class TooLarge(Exception):
    """The body has more bytes than are taken."""


class Guard:
    """Refuses what may not pass; `token` "" lets everybody of this machine in."""

    def __init__(self, app: ASGIApp, token: str, max_body_bytes: int) -> None:
        self._app = app
        self._token = token.encode()
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["path"], headers)
        body = Body(receive, self._max_body_bytes)
        waits = refusal is not None and "expect" in headers  # and sends no body once refused
        if refusal is None:
            try:
                parts = await body.read()
            except TooLarge:
                refusal = 413, self._too_large()
            except TimeoutError:
                refusal = 408, f"the body did not come within {BODY_SECONDS:.0f} s"
            else:
                await self._app(scope, _again(parts, receive), send)
                return
        if not waits:
            await body.throw_away()
        await _answer(scope, receive, send, *refusal)

    def _refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        if name.lower() not in HOSTS:
            return 403, "this server answers to localhost, 127.0.0.1 and [::1] only"
        if headers.get("content-length", "0").isdecimal() and (
            int(headers.get("content-length", "0")) > self._max_body_bytes
        ):
            return 413, self._too_large()
        if self._token and path not in OPEN and not self._is_known(headers):
            return 401, (
                "the token is missing or wrong; send `Authorization: Bearer TOKEN` with what "
                "`umbrella api --show-token` prints"
            )
        return None

    def _is_known(self, headers: Headers) -> bool:
        given = headers.get("authorization") or headers.get("x-api-key") or ""
        given = given[7:] if given[:7].lower() == "bearer " else given
        return hmac.compare_digest(given.strip().encode(), self._token)

    def _too_large(self) -> str:
        return (
            f"the body is larger than {self._max_body_bytes / 1e6:g} MB; send less, or raise "
            "api.max_body_mb"
        )


class Body:
    """The body of a request, read before anything is done with it."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._left = max_bytes
        self._more = True

    async def read(self) -> list[Message]:
        """Give its parts; raises TooLarge and TimeoutError."""
        parts: list[Message] = []
        while self._more:
            parts.append(await self._part(BODY_SECONDS))
            self._left -= len(parts[-1].get("body", b""))
            if self._left < 0:
                raise TooLarge
        return parts

    async def throw_away(self) -> None:
        """Read what a refused client still sends, for a while.

        Closing a socket with unread bytes resets the connection (RFC 9112, section 9.6), and the
        reset may destroy the answer of a client that sends everything before it reads. To be called
        before the answer: uvicorn cannot refuse a malformed rest once an answer has begun.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._more:
                    await self._part(PAUSE_SECONDS)

    async def _part(self, seconds: float) -> Message:
        async with asyncio.timeout(seconds):
            part = await self._receive()
        self._more = part["type"] == "http.request" and part.get("more_body", False)
        return part


def _again(parts: list[Message], receive: Receive) -> Receive:
    """Give the parts that were read, then what comes."""
    rest = iter(parts)

    async def receive_again() -> Message:
        return next(rest, None) or await receive()

    return receive_again


async def _answer(scope: Scope, receive: Receive, send: Send, status: int, message: str) -> None:
    headers = {"Connection": "close"}  # of a body without end, a part is never read
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    response = JSONResponse(body_of(scope["path"], status, message), status, headers)
    await response(scope, receive, send)
