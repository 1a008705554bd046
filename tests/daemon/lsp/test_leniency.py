from typing import Any

import pytest

from umbrella_daemon.lsp.leniency import adapt

INLINE = "textDocument/inlineCompletion"


def test_capabilities_nobody_reads_cannot_stop_an_editor() -> None:
    offered = {
        "general": {"positionEncodings": ["utf-8"], "markdown": {"parser": 7}},
        "window": {"workDoneProgress": True},
        "textDocument": {
            "completion": {"completionItemKind": {"valueSet": [99]}, "dynamicRegistration": True},
            "hover": 3,
        },
        "workspace": None,
    }
    params = {"processId": 3, "capabilities": offered, "clientInfo": 5, "trace": "off"}
    assert adapt("initialize", params) == {
        "processId": 3,
        "rootUri": None,
        "capabilities": {
            "general": {"positionEncodings": ["utf-8"]},
            "window": {"workDoneProgress": True},
            "textDocument": {"completion": {"dynamicRegistration": True}},
        },
        "initializationOptions": None,
        "trace": "off",
    }


@pytest.mark.parametrize("group", [None, 3, {}, {"completion": 3}, {"completion": {}}])
def test_capabilities_in_strange_places_count_as_none(group: object) -> None:
    adapted = adapt("initialize", {"capabilities": {"textDocument": group}})
    assert adapted["capabilities"] == {}


def test_how_a_menu_was_opened_makes_no_difference() -> None:
    params = {"position": 1, "context": {"triggerKind": 7}}
    assert adapt("textDocument/completion", params) == {"position": 1}


@pytest.mark.parametrize(
    ("sent", "taken"),
    [("off", "off"), ("verbose", "verbose"), ("compact", "messages"), ([], "messages")],
)
def test_traces(sent: object, taken: str) -> None:
    assert adapt("initialize", {"trace": sent})["trace"] == taken
    assert adapt("$/setTrace", {"value": sent}) == {"value": taken}


@pytest.mark.parametrize(
    ("sent", "taken"), [(0, 1), (1, 1), (2, 2), (3, 2), (None, 2), ("1", 2), ([], 2)]
)
def test_trigger_kinds(sent: object, taken: int) -> None:
    params: dict[str, Any] = {"position": 1, "context": {"triggerKind": sent, "more": 5}}
    context = {"triggerKind": taken, "more": 5}
    assert adapt(INLINE, params) == {"position": 1, "context": context}


def test_without_a_context() -> None:
    assert adapt(INLINE, {}) == {"context": {"triggerKind": 2}}


@pytest.mark.parametrize("params", [None, [], "text", {"context": 3}, {"context": None}])
def test_what_is_beyond_repair_is_left_alone(params: object) -> None:
    assert adapt(INLINE, params) == params
    assert adapt("other", {"trace": "compact"}) == {"trace": "compact"}
