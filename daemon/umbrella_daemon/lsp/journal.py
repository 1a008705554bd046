"""What became of the requests of one window: counts, the reason of the latest silence, traces.

Tells the editor of the state only when it is different, and of single requests only when the user
has asked for a trace.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
from lsprotocol import types

from umbrella_daemon.wire import Completed, Phase, Reason

# these follow from typing on; they say nothing about the state
PASSING: Final = frozenset({Reason.CANCELLED, Reason.SUPERSEDED})
PAUSED: Final = {
    "phase": "paused",
    "message": "Completion is switched off in this window.",
    "percent": None,
    "reason": Reason.DISABLED,
}


Follower = Callable[[dict[str, Any]], None]


class Journal:
    """Counts and the state; whoever follows it gets it whenever it changes."""

    def __init__(self) -> None:
        self.requests = 0
        self.shown = 0
        self.reasons: Counter[str] = Counter()
        self._followers: list[Follower] = []
        self._enabled = True
        self._phase = Phase("starting", "the daemon is not connected yet")
        self._silence = Completed(id=0)
        self._told: dict[str, Any] = {}

    @property
    def state(self) -> dict[str, Any]:
        """Where the daemon is and why nothing is shown, for a status line.

        Of a window in which completion is switched off it says only that.
        """
        if not self._enabled:
            return dict(PAUSED)
        silence = self._silence.detail if self._phase.phase == "ready" else ""
        return {
            "phase": self._phase.phase,
            "message": silence or self._phase.message,
            "percent": self._phase.percent,
            "reason": self._silence.reason,
        }

    @property
    def counts(self) -> dict[str, Any]:
        """How many requests ended in which way since the window was opened."""
        return {
            "requests": self.requests,
            "shown": self.shown,
            "reasons": dict(self.reasons),
        }

    def follow(self, follower: Follower) -> None:
        """Let `follower` have the state from now on: phase, message, percent, reason."""
        self._followers.append(follower)

    def enable(self, enabled: bool) -> None:
        """Note whether completion is on in this window, and tell the state for the first time."""
        self._enabled = enabled
        self._tell_if_changed()

    def enter(self, phase: Phase) -> None:
        """Note where the daemon is on its way."""
        if phase.phase == "ready" != self._phase.phase:
            self._silence = Completed(id=0)  # what kept it silent on its way is over
        self._phase = phase
        self._tell_if_changed()

    def record(self, completed: Completed) -> None:
        """Note how a request ended."""
        self.requests += 1
        self.shown += bool(completed.text)
        if completed.reason:
            self.reasons[completed.reason] += 1
        if completed.reason not in PASSING:
            self._silence = completed
            self._tell_if_changed()

    def _tell_if_changed(self) -> None:
        if self.state != self._told:
            self._told = self.state
            for follower in self._followers:
                follower(self._told)


def trace(
    params: types.InlineCompletionParams,
    method: str,
    completed: Completed,
    ms: float,
    verbose: bool,
) -> types.LogTraceParams:
    """Describe one request for `$/logTrace`; `ms` is what the editor waited."""
    name = method.rpartition("/")[2]
    where = f"{params.text_document.uri}:{params.position.line + 1}:{params.position.character + 1}"
    what = f"{len(completed.text)} characters" if completed.text else f"nothing ({why(completed)})"
    details = msgspec.json.encode(completed.trace).decode() if verbose else None
    return types.LogTraceParams(f"{name} {where}: {what} in {ms:.1f} ms", details)


def why(completed: Completed) -> str:
    """Give reason and detail of a silence in one phrase."""
    return ": ".join(filter(None, (completed.reason, completed.detail)))
