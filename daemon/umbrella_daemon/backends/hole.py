"""A prompt around a hole, taken apart again: what stands where, whatever the layout."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from umbrella_daemon.backends.chat import Part
from umbrella_daemon.backends.pieces import FIM


@dataclass(slots=True)
class Hole:
    """Text before and after a hole, and pieces of other files."""

    before: str = ""
    after: str = ""
    typed: str = ""  # of what stands before the hole, what the layout puts last
    files: list[tuple[str, str]] = field(default_factory=list)  # name and text


def hole_of(parts: Sequence[Part]) -> Hole | None:
    """Take `parts` apart; None where they have no hole."""
    if FIM.prefix not in parts:
        return None
    hole, place = Hole(), None
    for part in parts:
        if isinstance(part, int):
            place = part
        elif place == FIM.prefix:
            hole.before = part
        elif place == FIM.suffix:
            hole.after = part
        elif place == FIM.middle:
            hole.typed = part
        elif place == FIM.file:
            name, _, text = part.partition("\n")
            if text:  # the last one names the file itself and has none
                hole.files.append((name, text))
    return hole
