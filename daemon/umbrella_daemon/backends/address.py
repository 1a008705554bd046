"""Where a backend is, and whether code may be sent there.

Promises: a host that is not this machine is refused unless the settings allow it; a key comes from
an environment variable alone and is shown nowhere.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from umbrella_daemon.layers import SettingsError
from umbrella_daemon.settings import BackendSettings

USUAL: Final = {  # where such servers listen unless told otherwise
    "llama-server": "http://127.0.0.1:8080",
    "openai": "http://127.0.0.1:8000/v1",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A server that may be asked."""

    url: str  # without a slash at its end
    local: bool  # on this machine
    key: str = field(default="", repr=False)

    @property
    def root(self) -> str:
        """The server itself, without the version of an interface."""
        return self.url.removesuffix("/v1")

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def address_of(settings: BackendSettings, environ: Mapping[str, str] = os.environ) -> Address:
    """Give the address that `settings` name; raises SettingsError, which says what to change."""
    url = (settings.url or USUAL[settings.kind]).rstrip("/")
    parts = _split(url)
    if parts.username or parts.password:
        raise SettingsError(
            "backend.url holds a user name or a password, which would end up in logs; name an "
            "environment variable that holds the key in backend.api_key_env."
        )
    local = is_loopback(parts.hostname or "")
    if not local and not settings.allow_remote:
        raise SettingsError(
            f"backend.url names {parts.hostname}, which is not this machine: the text around your "
            "cursor and pieces of other open files would be sent there. If you want that, set "
            "backend.allow_remote = true; nothing was sent."
        )
    if settings.kind == "openai" and not parts.path:
        url += "/v1"
    return Address(url, local, _key(settings, environ))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine whatever its name service says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if usable and not (parts.query or parts.fragment):
            return parts
    except ValueError:
        pass  # told as every other address that is none
    raise SettingsError(
        f"backend.url = {_without_secrets(url)!r} is not the address of a server; it takes "
        "http://host:port or https://host:port, with a path where the server has one."
    )


def _without_secrets(url: str) -> str:
    """Give `url` without what may be a password or a token."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "…"


def _key(settings: BackendSettings, environ: Mapping[str, str]) -> str:
    name = settings.api_key_env
    if not name:
        return ""
    key = environ.get(name, "").strip()
    if not key:
        raise SettingsError(
            f"backend.api_key_env names the environment variable {name}, which is not set where "
            f"the daemon was started. Set it there, then `umbrella stop`: the next start has it."
        )
    if not key.isascii() or not key.isprintable():
        raise SettingsError(f"the environment variable {name} holds no key that HTTP can carry.")
    return key
