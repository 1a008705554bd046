"""Names that editors know from Copilot's language server, so that glue made for it works here.

Documented at https://www.npmjs.com/package/@github/copilot-language-server. What we say of
ourselves under such a name, we say only to those who ask for it with the initialization option
`editor.copilotStatus`.
"""

from typing import Any, Final

from lsprotocol import types

from umbrella_daemon.lsp.answering import warm_up
from umbrella_daemon.lsp.language_server import UmbrellaServer
from umbrella_daemon.wire import Reason

DID_SHOW: Final = "textDocument/didShowCompletion"
DID_PARTIALLY_ACCEPT: Final = "textDocument/didPartiallyAcceptCompletion"
DID_FOCUS: Final = "textDocument/didFocus"
DID_CHANGE_STATUS: Final = "didChangeStatus"

_KINDS: Final = {"failed": "Error", "backend-down": "Warning", "paused": "Inactive"}  # by phase
_WARNINGS: Final = frozenset({Reason.BACKEND_DOWN, Reason.DAEMON_LOST, Reason.ERROR})


def did_show(ls: UmbrellaServer, params: Any) -> None:
    """Count what the user sees."""
    ls.acceptance.display(getattr(params, "item", None))


def did_partially_accept(ls: UmbrellaServer, params: Any) -> None:
    """Count what the user takes over word by word or line by line."""
    ls.acceptance.accept_part(
        getattr(params, "item", None), getattr(params, "acceptedLength", None)
    )
    ls.recorder.accepted()


async def did_focus(ls: UmbrellaServer, params: Any) -> None:
    """See to it that a daemon runs, and has read the document, before the first key is pressed.

    An editor that also tells the `position` of the cursor, now or when it moves, has the first
    suggestion there sooner.
    """
    place = _place(params)
    if place is not None:
        ls.recorder.focused(place)
    await ls.wake()
    if place is not None:
        await warm_up(ls, place)


def _place(params: Any) -> types.InlineCompletionParams | None:
    """Give document and position, None where they are missing or make no sense."""
    uri = getattr(getattr(params, "textDocument", None), "uri", None)
    position = getattr(params, "position", None)
    line, character = getattr(position, "line", None), getattr(position, "character", None)
    if not (isinstance(uri, str) and isinstance(line, int) and isinstance(character, int)):
        return None
    return types.InlineCompletionParams(
        types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
        types.TextDocumentIdentifier(uri),
        types.Position(max(0, line), max(0, character)),
    )


def register(server: UmbrellaServer) -> None:
    """Make `server` understand."""
    server.feature(DID_SHOW)(did_show)
    server.feature(DID_PARTIALLY_ACCEPT)(did_partially_accept)
    server.feature(DID_FOCUS)(did_focus)

    def tell(state: dict[str, Any]) -> None:
        if server.options.wants_copilot_status:
            server.protocol.notify(DID_CHANGE_STATUS, status(state))

    server.journal.follow(tell)


def status(state: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters of `didChangeStatus` for a state of the journal."""
    phase = state["phase"]
    kind = "Warning" if state["reason"] in _WARNINGS else "Normal"
    return {
        "busy": phase not in ("ready", *_KINDS),
        "message": state["message"],
        "kind": _KINDS.get(phase, kind),
    }
