"""HTTP to one backend, from one thread; whatever is waited for can be given up at once.

Promises: a request that is cancelled or left is closed on the wire, so that the server can stop; a
connection that fails before the answer begins is tried again, a little later each time; whatever
stays wrong is BackendDown or BackendRefused with a sentence that says what to do. Nothing is sent
anywhere but to the address: no redirect is followed, and no proxy is used for this machine.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any, Final, TypeVar

import httpx
import msgspec

from umbrella_daemon.backends.address import Address
from umbrella_daemon.backends.events import EventReader
from umbrella_daemon.backends.faults import BackendDown, BackendRefused
from umbrella_daemon.settings import BackendSettings
from umbrella_engine.errors import Cancelled

log: Final = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.01  # between two looks whether a request is still wanted
FIRST_PAUSE_SECONDS: Final = 0.1  # before a second attempt; doubles
MAX_TOLD: Final = 300  # characters of what a server says that go into a sentence
OVERLOADED: Final = frozenset({429, 502, 504})  # may be otherwise in a moment
UNUSABLE: Final = {  # what a status says of the settings, not of the request
    401: "it wants another key: name the environment variable that holds it in backend.api_key_env",
    403: "it does not allow this: check the key that backend.api_key_env names",
    404: "there is no such thing: check backend.url, backend.kind and backend.model",
    405: "it does not know the request: check backend.url and backend.kind",
}

T = TypeVar("T")
Cancel = Callable[[], bool]


def wanted() -> bool:
    """Never cancel."""
    return False


class Upstream:
    """Asks the server at `address`; belongs to one thread, which it keeps waiting."""

    def __init__(self, address: Address, settings: BackendSettings) -> None:
        self.address = address
        self._retries = settings.retries
        self._lost: BackendDown | None = None
        self._loop = asyncio.new_event_loop()
        self._client = httpx.AsyncClient(
            headers=address.headers,
            timeout=httpx.Timeout(settings.timeout_ms / 1e3, connect=settings.connect_ms / 1e3),
            trust_env=not address.local,
            follow_redirects=False,
        )

    def get(self, url: str) -> Any:
        """Give the JSON at `url`; raises BackendDown and BackendRefused."""
        return self._json("GET", url, None)

    def post(self, url: str, body: object) -> Any:
        """Give the JSON that answers `body`; raises BackendDown and BackendRefused."""
        return self._json("POST", url, body)

    def stream(self, url: str, body: object, cancelled: Cancel) -> Generator[bytes]:
        """Give the data of the events that answer `body`.

        Closing the iterator closes the connection. Raises Cancelled, BackendDown, BackendRefused.
        """
        response = self._wait(self._open("POST", url, body), cancelled)
        try:
            reader = EventReader()
            chunks = response.aiter_raw()
            while data := self._wait(self._next(chunks), cancelled):
                yield from reader.feed(data)
        finally:
            if self._lost is None:
                self._wait(response.aclose(), wanted)

    def close(self, lost: BackendDown | None = None) -> None:
        """Let go of everything; whoever asks later is told that it was `lost`."""
        if not self._loop.is_closed():
            self._wait(self._client.aclose(), wanted)
            self._loop.close()
            self._lost = lost or self.down("the connection to it was closed")

    def down(self, why: str, status: int = 0) -> BackendDown:
        """Give the error that says so."""
        return BackendDown(f"The backend at {self.address.url} cannot be used: {why}.", status)

    def _json(self, method: str, url: str, body: object) -> Any:
        return self._wait(self._whole(method, url, body), wanted)

    async def _whole(self, method: str, url: str, body: object) -> Any:
        response = await self._open(method, url, body)
        try:
            content = await response.aread()
            return msgspec.json.decode(content)
        except httpx.TransportError as error:
            raise self.down(_said_by(error, self._client.timeout)) from None
        except msgspec.DecodeError:
            raise self.down(
                "what answers there speaks no JSON: check backend.url and backend.kind"
            ) from None
        finally:
            await response.aclose()

    async def _open(self, method: str, url: str, body: object) -> httpx.Response:
        """Send a request until the answer begins; its body is still to be read."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        why = ""
        for attempt in range(self._retries + 1):
            if attempt:
                await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            request = self._client.build_request(method, url, content=content, headers=headers)
            try:
                response = await self._client.send(request, stream=True)
            except httpx.TimeoutException as error:
                raise self.down(_said_by(error, self._client.timeout)) from None
            except httpx.TransportError as error:
                why = _said_by(error, self._client.timeout)
                log.info("attempt %d: %s", attempt + 1, why)
                continue
            if response.is_success:
                return response
            try:
                said = await self._words(response)
            finally:
                await response.aclose()
            if response.status_code not in OVERLOADED:
                raise self._refusal(response.status_code, said)
            why = f"it says {response.status_code} {said}".rstrip()
        raise self.down(why)

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Give the next bytes of an answer, b"" at its end."""
        try:
            return await anext(chunks, b"")
        except httpx.TransportError as error:
            raise self.down(_said_by(error, self._client.timeout)) from None

    async def _words(self, response: httpx.Response) -> str:
        """Give what a server says of a failure, shortened."""
        try:
            content = await response.aread()
        except httpx.TransportError:
            return ""
        return shortened(message_of(content))

    def _refusal(self, status: int, said: str) -> BackendDown | BackendRefused:
        told = f"it says {status}{f' ({said})' if said else ''}"
        if status in UNUSABLE:
            return self.down(f"{told}; {UNUSABLE[status]}", status)
        if status == 503:
            return self.down(f"{told}; it may still be loading its model", status)
        if 300 <= status < 400:
            return self.down(f"{told}, which points elsewhere: name that place", status)
        if status >= 500 and status != 501:
            return self.down(told, status)
        return BackendRefused(f"The backend at {self.address.url} refused: {told}.", status)

    def _wait(self, work: Coroutine[Any, Any, T], cancelled: Cancel) -> T:
        """Give the result of `work`; raises Cancelled as soon as nobody wants it."""
        if self._lost is not None:
            work.close()
            raise self._lost
        task = self._loop.create_task(work)
        try:
            while not task.done():
                if cancelled():
                    raise Cancelled("the request was cancelled")
                self._loop.run_until_complete(asyncio.wait({task}, timeout=POLL_SECONDS))
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                self._loop.run_until_complete(asyncio.wait({task}))
                if not task.cancelled():
                    task.exception()  # it was looked at: nobody complains of it


def message_of(content: bytes) -> str:
    """Give what the body of an error says, in the shapes that servers have for it."""
    try:
        said = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return content.decode(errors="replace")
    for key in ("error", "message", "detail"):
        while isinstance(said, dict) and key in said:
            said = said[key]
    return said if isinstance(said, str) else msgspec.json.encode(said).decode()


def shortened(text: str) -> str:
    """Give the beginning of `text` on one line."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_TOLD else line[: MAX_TOLD - 1] + "…"


def _said_by(error: httpx.TransportError, timeout: httpx.Timeout) -> str:
    """Say what happened, with what to do."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return f"it did not take the connection within {timeout.connect:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"it said nothing for {timeout.read:g} s (backend.timeout_ms)"
    if isinstance(error, httpx.ConnectError):
        return f"nothing answers there ({error}); start it, or correct backend.url"
    return "it broke off in mid-answer" + (f" ({error})" if str(error) else "")
