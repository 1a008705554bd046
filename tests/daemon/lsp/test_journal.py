from typing import Any

from lsprotocol import types

from umbrella_daemon.lsp.journal import Journal, trace
from umbrella_daemon.wire import Completed, Phase, Reason, Trace

INLINE = types.TEXT_DOCUMENT_INLINE_COMPLETION
MENU = types.TEXT_DOCUMENT_COMPLETION


def test_the_state_is_told_when_it_changes() -> None:
    told: list[dict[str, Any]] = []
    journal = Journal()
    journal.follow(told.append)
    loading = Phase("loading", "reading weights", 43)
    journal.enter(loading)
    journal.enter(loading)
    for _ in range(2):
        journal.record(Completed(1, reason=Reason.LOADING, detail="43 %"))
    journal.enter(Phase("ready"))
    for _ in range(2):
        journal.record(Completed(2, "text"))
    journal.record(Completed(3, reason=Reason.EXCLUDED, detail="a secret"))
    at_43 = {"phase": "loading", "message": "reading weights", "percent": 43}
    assert told == [
        at_43 | {"reason": ""},
        at_43 | {"reason": "loading"},
        {"phase": "ready", "message": "", "percent": None, "reason": ""},
        {"phase": "ready", "message": "a secret", "percent": None, "reason": "excluded"},
    ]


def test_what_follows_from_typing_is_counted_but_not_told() -> None:
    told: list[dict[str, Any]] = []
    journal = Journal()
    journal.follow(told.append)
    journal.record(Completed(1, "text"))
    told.clear()
    for reason in (Reason.CANCELLED, Reason.SUPERSEDED, Reason.SUPERSEDED):
        journal.record(Completed(1, reason=reason))
    assert told == []
    assert journal.counts == {
        "requests": 4,
        "shown": 1,
        "reasons": {"cancelled": 1, "superseded": 2},
    }


def test_a_trace_says_where_what_and_how_long() -> None:
    params = types.InlineCompletionParams(
        context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
        text_document=types.TextDocumentIdentifier("file:///a.py"),
        position=types.Position(4, 7),
    )
    shown = Completed(1, "text", trace=Trace(prompt_tokens=12))
    brief = trace(params, INLINE, shown, 3.21, verbose=False)
    assert brief.message == "inlineCompletion file:///a.py:5:8: 4 characters in 3.2 ms"
    assert brief.verbose is None
    assert '"prompt_tokens":12' in str(trace(params, INLINE, shown, 3.21, verbose=True).verbose)
    silent = trace(params, MENU, Completed(1, reason="empty", detail="so"), 1, verbose=False)
    assert silent.message == "completion file:///a.py:5:8: nothing (empty: so) in 1.0 ms"


def test_a_window_that_is_switched_off_says_so_and_nothing_else() -> None:
    told: list[dict[str, Any]] = []
    journal = Journal()
    journal.follow(told.append)
    journal.enable(True)
    journal.enable(False)
    journal.enter(Phase("loading", "reading weights", 43))
    journal.record(Completed(1, reason=Reason.DISABLED, detail="off"))
    journal.enter(Phase("ready", "smollm2"))
    journal.enable(True)
    assert [state["phase"] for state in told] == ["starting", "paused", "ready"]
    assert told[1]["reason"] == "disabled"
    assert told[2]["reason"] == ""
