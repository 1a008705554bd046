"""What the editor tells of the items that it was given: displayed, accepted, accepted in part."""

from typing import Any

from umbrella_daemon.lsp.positions import Units

_UTF16 = Units("utf-16")  # what lengths are counted in, whatever columns are


class Acceptance:
    """Counts of one window; what an editor tells twice counts once."""

    def __init__(self) -> None:
        self._displayed = 0
        self._accepted = 0
        self._partially_accepted = 0
        self._accepted_characters = 0
        self._latest: Any = None  # item that was displayed
        self._partial: Any = None  # item of which a part is accepted
        self._taken = 0  # characters of that part

    @property
    def counts(self) -> dict[str, int]:
        """How many items met with which fate, and how many characters were taken over."""
        return {
            "displayed": self._displayed,
            "accepted": self._accepted,
            "partially_accepted": self._partially_accepted,
            "accepted_characters": self._accepted_characters,
        }

    def display(self, item: Any) -> None:
        """Note that `item` is on the screen."""
        if _text(item) and item != self._latest:
            self._latest = item
            self._displayed += 1

    def accept_part(self, item: Any, length: Any) -> None:
        """Note that the first `length` UTF-16 units of `item` are accepted, all told so far."""
        if not _text(item) or not isinstance(length, int) or length < 1:
            return
        if item != self._partial:
            self._partial, self._taken = item, 0
            self._partially_accepted += 1
        taken = _UTF16.index(_text(item), length)
        self._accepted_characters += max(0, taken - self._taken)
        self._taken = max(taken, self._taken)

    def accept(self, arguments: tuple[Any, ...]) -> None:
        """Note that the item whose command has these `arguments` is accepted whole."""
        self._accepted += 1
        length = arguments[-1] if arguments and isinstance(arguments[-1], int) else 0
        if _arguments(self._partial) == arguments:
            length -= self._taken
        self._accepted_characters += max(0, length)
        self._partial, self._taken = None, 0


def _text(item: Any) -> str:
    text = getattr(item, "insertText", None)
    return text if isinstance(text, str) else ""


def _arguments(item: Any) -> tuple[Any, ...] | None:
    arguments = getattr(getattr(item, "command", None), "arguments", None)
    return tuple(arguments) if isinstance(arguments, list) else None
