"""The methods of our own that an editor may call: `umbrella/status`, `trace`, `stats`, `toggle`.

Parameters are optional; those that make no sense are refused or count as absent, and change
nothing.
"""

import logging
from typing import Any, Final

import msgspec
from pygls.exceptions import JsonRpcInvalidParams

from umbrella_daemon.client import DaemonError
from umbrella_daemon.lsp.language_server import STATUS, UmbrellaServer
from umbrella_daemon.lsp.threshold import least_confidence

logger = logging.getLogger(__name__)

TRACE: Final = "umbrella/trace"
STATS: Final = "umbrella/stats"
TOGGLE: Final = "umbrella/toggle"
DEFAULT_TRACES: Final = 20


async def status(ls: UmbrellaServer, params: Any) -> dict[str, Any]:
    """Tell everything: the state, the counts of this window, and the daemon's own account."""
    found = {"recording": ls.recorder.place, "daemon": await _account(ls, _traces(params))}
    return ls.journal.state | stats(ls, params) | found


async def trace(ls: UmbrellaServer, params: Any) -> dict[str, Any]:
    """Give what the latest requests of all windows cost, newest last: `traces` of them."""
    account = await _account(ls, _traces(params))
    return {"traces": account["traces"] if account else []}


def stats(ls: UmbrellaServer, params: Any) -> dict[str, Any]:
    """Give the counts of this window since it was opened, and what follows from them."""
    counts = ls.acceptance.counts
    least = least_confidence(ls.options.settings.completion, counts)
    return ls.journal.counts | counts | {"min_confidence": least}


def toggle(ls: UmbrellaServer, params: Any) -> dict[str, Any]:
    """Switch this window, or one `language` in it, on or off; give what holds now."""
    language = getattr(params, "language", None)
    if language is not None and not isinstance(language, str):
        raise JsonRpcInvalidParams(f"language has to be a text, not {language!r}")
    ls.options.toggle(language or "")
    ls.pending.supersede_all()
    ls.follow_settings()
    completion = ls.options.settings.completion
    return {
        "enabled": completion.enabled,
        "disabled_languages": list(completion.disabled_languages),
    }


def register(server: UmbrellaServer) -> None:
    """Make `server` answer."""
    server.feature(STATUS)(status)
    server.feature(TRACE)(trace)
    server.feature(STATS)(stats)
    server.feature(TOGGLE)(toggle)


def _traces(params: Any) -> int:
    traces = getattr(params, "traces", None)
    return traces if isinstance(traces, int) else DEFAULT_TRACES


async def _account(ls: UmbrellaServer, traces: int) -> dict[str, Any] | None:
    """Ask the daemon for its status; None where there is no daemon."""
    if ls.client is None or not ls.client.connected:
        return None
    try:
        account: dict[str, Any] = msgspec.to_builtins(await ls.client.status(traces=traces))
    except DaemonError as error:
        logger.info("no status of the daemon: %s", error)
        return None
    for frame in (account, account["phase"]):
        for key in ("t", "id"):  # of the frame, not of the daemon
            frame.pop(key, None)
    return account
