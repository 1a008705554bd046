"""One file from a URL into a partial file that the next try continues, also after a crash.

Knows nothing of indexes, wheels or models.
"""

import contextlib
import netrc
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress, Report

CHUNK_BYTES: Final = 2**20
TRIES_WITHOUT_PROGRESS: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.25  # doubled after every try in vain
TIMEOUT_SECONDS: Final = 60.0

Arrived = Callable[[int, int], None]  # bytes here, bytes in all (0: unknown)
Begin = Callable[[int, int], Arrived]  # bytes still to come, bytes in all (0: unknown)


@dataclass(frozen=True, slots=True)
class Network:
    """How the outside is reached."""

    certificates: str = ""  # file or folder of CA certificates beside the system's
    proxy: str = ""  # "": as the environment says
    auth: tuple[str, str] | None = None  # user and password of the server
    headers: Mapping[str, str] = field(default_factory=dict)  # sent to the server, not beyond it

    def client(self) -> httpx.Client:
        """Open an HTTP client that trusts what this machine's system trusts."""
        context = ssl.create_default_context()
        if self.certificates:
            path = Path(self.certificates).expanduser()
            known = {"capath": str(path)} if path.is_dir() else {"cafile": str(path)}
            try:
                context.load_verify_locations(**known)
            except OSError as error:
                raise WeightsError(f"the certificates in {path} cannot be read: {error}") from error
        return httpx.Client(
            verify=context,
            proxy=self.proxy or None,
            auth=self.auth or _netrc(),
            headers=self.headers,
            follow_redirects=True,
            timeout=TIMEOUT_SECONDS,
        )


class ByteProgress:
    """Reports bytes as they come, in steps that a person can see."""

    def __init__(self, report: Report, message: str) -> None:
        self._report = report
        self._message = message
        self._shown = 0

    def __call__(self, done: int, total: int) -> None:
        """Say that `done` of `total` bytes are here; 0: the total is unknown."""
        if done - self._shown >= max(CHUNK_BYTES, total // 200) or done == total:
            self._shown = done
            self._report(Progress("downloading", self._message, done, total))


def download(url: str, part: Path, network: Network, begin: Begin) -> None:
    """Bring the content of `url` into `part`, keeping what an earlier try left there.

    `begin` is called before a byte is written, may refuse by raising, and gives what is called as
    bytes arrive. Raises WeightsError; the partial file stays for the next try. OSErrors of the
    disk pass through.
    """
    pause = FIRST_PAUSE_SECONDS
    tries = 0
    try:
        with network.client() as client:
            while True:
                before = _size(part)
                try:
                    return _transfer(client, url, part, begin)
                except httpx.TransportError:
                    tries = 1 if _size(part) > before else tries + 1
                    if tries >= TRIES_WITHOUT_PROGRESS:
                        raise
                time.sleep(pause * 2**tries)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        kept = f"; {_size(part)} bytes are kept and the next try goes on there" * part.exists()
        raise WeightsError(f"{_reason(error)}, {_shown(url)}{kept}") from error


def _transfer(client: httpx.Client, url: str, part: Path, begin: Begin) -> None:
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it was here already
            part.unlink()
            raise httpx.RemoteProtocolError("the partial file does not belong to this download")
        response.raise_for_status()
        if response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            mode = "ab"
        else:  # the server does not continue: from the start
            mode, have = "wb", 0
        coming = int(response.headers.get("Content-Length", 0))
        total = have + coming if coming else 0
        arrived = begin(coming, total)
        with part.open(mode) as file:
            for chunk in response.iter_raw(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                arrived(have, total)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _netrc() -> httpx.Auth | None:
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        return httpx.NetRCAuth()
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):  # its own text has the URL, password and all
        status = error.response.status_code
        login = " (it wants a user and password)" if status in {401, 403} else ""
        return f"the server answers {status} {error.response.reason_phrase}{login}"
    return str(error) or type(error).__name__


def _shown(url: str) -> str:
    """Give a URL without a password that may be in it."""
    return str(httpx.URL(url).copy_with(userinfo=b""))
