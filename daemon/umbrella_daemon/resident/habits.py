"""What the user does with suggestions, told from the requests that follow them.

A request whose text goes on exactly where accepting a part of the shown suggestion leads to counts
as that part accepted; this needs no word from the editor. Typing one character of it tells nothing,
typing anything else does. Only counts are kept, and only as long as the daemon runs.
"""

from collections import Counter
from typing import Final

from umbrella_daemon.resident.foresight import KINDS, Kind, likely
from umbrella_daemon.wire import Complete

_DOCUMENTS: Final = 64  # whose latest suggestion is remembered

Owner = tuple[int, str]


class Habits:
    """Counts what suggestions are followed by; kinds of states in the order of those counts."""

    def __init__(self) -> None:
        self.counts: Counter[Kind] = Counter()
        self._shown: dict[Owner, tuple[Complete, str, int]] = {}

    def order(self) -> list[Kind]:
        """Give the kinds, those that were seen most often first."""
        return sorted(KINDS, key=lambda kind: -self.counts[kind])

    def show(self, client: int, request: Complete, text: str, replace_after: int) -> None:
        """Note what is on the screen from now on."""
        self._shown.pop((client, request.document), None)
        self._shown[client, request.document] = request, text, replace_after
        if len(self._shown) > _DOCUMENTS:
            del self._shown[next(iter(self._shown))]

    def watch(self, client: int, request: Complete) -> None:
        """Compare a new request with what was shown before it."""
        shown = self._shown.get((client, request.document))
        if shown is None or not request.prefix.startswith(shown[0].prefix):
            return
        typed = request.prefix[len(shown[0].prefix) :]
        if len(typed) > 1:
            for kind, state in likely(*shown):
                if state.prefix == request.prefix and state.suffix == request.suffix:
                    self.counts[kind] += 1
                    return
        if not shown[1].startswith(typed) and request.suffix == shown[0].suffix:
            self.counts["other"] += 1

    def forget(self, client: int) -> None:
        """Drop what a client was shown."""
        for owner in [owner for owner in self._shown if owner[0] == client]:
            del self._shown[owner]
