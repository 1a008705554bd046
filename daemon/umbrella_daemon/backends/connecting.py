"""From the settings of a backend to an engine that asks it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from umbrella_daemon.backends.address import Address, address_of
from umbrella_daemon.backends.dialect import Dialect, Served
from umbrella_daemon.backends.llama_server import LlamaServer
from umbrella_daemon.backends.openai import OpenAI
from umbrella_daemon.backends.remote import RemoteEngine
from umbrella_daemon.backends.upstream import Upstream
from umbrella_daemon.settings import BackendSettings
from umbrella_engine.interface import EngineInfo

# of the server's context: a piece may be a little more than a token
USED_SHARE: Final = 0.8

_DIALECTS: Final[Mapping[str, Callable[[Upstream, BackendSettings], Dialect]]] = {
    "llama-server": LlamaServer,
    "openai": OpenAI,
}


@dataclass(frozen=True, slots=True)
class Connected:
    """An engine elsewhere, and what to tell people of it."""

    engine: RemoteEngine
    served: Served
    told: str
    address: Address


def connect(settings: BackendSettings, context_tokens: int) -> Connected:
    """Reach the server that `settings` name; prompt and answer take at most `context_tokens`.

    Raises SettingsError, which only other settings mend, and BackendDown, which time may.
    """
    address = address_of(settings)
    upstream = Upstream(address, settings)
    try:
        dialect = _DIALECTS[settings.kind](upstream, settings)
        served = dialect.served()
    except BaseException:
        upstream.close()
        raise
    told = f"{served.model} on {settings.kind} at {address.url}"
    usable = int(served.context_tokens * USED_SHARE) or context_tokens
    info = EngineInfo(
        pair=told,
        target=served.model,
        draft="",
        device=settings.kind,
        dtype="its own dtype",
        context_tokens=min(usable, context_tokens),
    )
    return Connected(RemoteEngine(upstream, dialect, info, served.tokenizer), served, told, address)
