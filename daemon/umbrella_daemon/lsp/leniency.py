"""What other versions of the protocol send, brought into the form that this one has.

The library takes parameters whole or not at all: one value that it does not know, in a capability
that nobody here reads, and the editor would be refused. So only what is used is handed on.
"""

from collections.abc import Callable
from typing import Any, Final

from lsprotocol import types

# the capabilities of an editor that matter to us, as paths
_CAPABILITIES: Final = (
    ("general", "positionEncodings"),
    ("window", "workDoneProgress"),
    ("workspace", "configuration"),
    ("workspace", "didChangeConfiguration"),
    ("textDocument", "completion", "dynamicRegistration"),
)
_TRACES: Final = tuple(value.value for value in types.TraceValue)
_KINDS: Final = tuple(value.value for value in types.InlineCompletionTriggerKind)


def adapt(method: str, params: Any) -> Any:
    """Give parameters that fit where it is clear what was meant, else the same."""
    adapter = _ADAPTERS.get(method)
    return adapter(params) if adapter and isinstance(params, dict) else params


def _initialize(params: dict[str, Any]) -> dict[str, Any]:
    capabilities: dict[str, Any] = {}
    for *groups, name in _CAPABILITIES:
        offered, used = params.get("capabilities"), capabilities
        for group in groups:
            offered = offered.get(group) if isinstance(offered, dict) else None
        if isinstance(offered, dict) and offered.get(name) is not None:
            for group in groups:
                used = used.setdefault(group, {})
            used[name] = offered[name]
    return {
        "processId": params.get("processId"),
        "rootUri": None,
        "capabilities": capabilities,
        "initializationOptions": params.get("initializationOptions"),
        "trace": _trace(params.get("trace", "off")),
    }


def _set_trace(params: dict[str, Any]) -> dict[str, Any]:
    return {"value": _trace(params.get("value"))}


def _trace(value: Any) -> str:
    # VS Code also knows "compact"
    return value if value in _TRACES else types.TraceValue.Messages.value


def _inline_completion(params: dict[str, Any]) -> dict[str, Any]:
    context = params.setdefault("context", {})
    if isinstance(context, dict) and context.get("triggerKind") not in _KINDS:
        # before 3.18 was settled, 0 was a request by key
        kinds = types.InlineCompletionTriggerKind
        kind = kinds.Invoked if context.get("triggerKind") == 0 else kinds.Automatic
        context["triggerKind"] = kind.value
    return params


def _completion(params: dict[str, Any]) -> dict[str, Any]:
    # how a menu came to be opened makes no difference
    return {key: value for key, value in params.items() if key != "context"}


_ADAPTERS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    types.INITIALIZE: _initialize,
    types.SET_TRACE: _set_trace,
    types.TEXT_DOCUMENT_COMPLETION: _completion,
    types.TEXT_DOCUMENT_INLINE_COMPLETION: _inline_completion,
}
