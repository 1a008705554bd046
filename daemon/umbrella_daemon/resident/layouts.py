"""Orders in which a model reads the text around a cursor, as data, and the ids of their parts.

A layout is a row of parts. Parts named after fill-in-the-middle tokens are those tokens; `context`
are pieces of other files, `before` the lines before the cursor's, `typed` the cursor's line up to
the cursor, `after` the text behind it. Stable parts come first: typing changes `typed` alone, so
the later it stands the less is computed again. Promises: text stays within its budget; text that
spells a control token is text. Knows no cache and no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from umbrella_daemon.resident.window import before_and_typed, encoded, first_tokens
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import FimTokens, Tokenizer

CONTEXT: Final = "context"
BEFORE: Final = "before"
TYPED: Final = "typed"
AFTER: Final = "after"
CONTROLS: Final = ("prefix", "suffix", "middle")

_COMMENTS: Final = {  # what a comment begins with, by LSP language id; "//" elsewhere
    **dict.fromkeys(
        ("python", "ruby", "shellscript", "yaml", "toml", "perl", "r", "makefile", "dockerfile"),
        "#",
    ),
    **dict.fromkeys(("lua", "sql", "haskell", "elm"), "--"),
    **dict.fromkeys(("lisp", "clojure", "scheme"), ";"),
    **dict.fromkeys(("latex", "erlang", "matlab"), "%"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """One order of the parts."""

    name: str
    parts: tuple[str, ...]

    @property
    def controls(self) -> int:
        """How many control tokens it writes, besides those of the context."""
        return sum(part in CONTROLS for part in self.parts)

    @property
    def joins_line(self) -> bool:
        """Whether the cursor's line directly follows the lines before it."""
        return (BEFORE, TYPED) in zip(self.parts, self.parts[1:], strict=False)


LAYOUTS: Final = {
    layout.name: layout
    for layout in (
        Layout("plain", (CONTEXT, BEFORE, TYPED)),
        Layout("psm", (CONTEXT, "prefix", BEFORE, TYPED, "suffix", AFTER, "middle")),
        Layout("anchored", (CONTEXT, "prefix", BEFORE, "suffix", AFTER, "middle", TYPED)),
        Layout("spm", (CONTEXT, "suffix", AFTER, "prefix", BEFORE, TYPED, "middle")),
        Layout("spm-anchored", (CONTEXT, "suffix", AFTER, "prefix", BEFORE, "middle", TYPED)),
        Layout("sp", (CONTEXT, "suffix", AFTER, "prefix", BEFORE, TYPED)),
    )
}
# by the order a family was trained in: as good as the trained order and cheaper, see NOTES.md
_BY_ORDER: Final = {"psm": "anchored", "spm": "spm", "sp": "sp"}


def layout_for(fim: FimTokens | None, wanted: str) -> Layout:
    """Give the layout `wanted`, or by "auto" the one that suits the vocabulary.

    A vocabulary without fill-in-the-middle tokens has one layout only.
    """
    if fim is None:
        return LAYOUTS["plain"]
    return LAYOUTS[_BY_ORDER[fim.order] if wanted == "auto" else wanted]


@dataclass(frozen=True, slots=True)
class Room:
    """Tokens there are for text."""

    prefix: int
    suffix: int


class Around:
    """The text around the cursor of a request, as ids of `tokenizer`, within `room`."""

    def __init__(self, request: Complete, tokenizer: Tokenizer, room: Room) -> None:
        self._tokenizer = tokenizer
        self._room = room
        before, self.typed = before_and_typed(request.prefix, room.prefix, tokenizer)
        self.before = unix(before)
        self._suffix = request.suffix

    def typed_ids(self) -> Sequence[int]:
        """Ids of the cursor's line up to the cursor."""
        return _last(encoded(self.typed, self._tokenizer), self._room.prefix)

    def before_ids(self, kept: int) -> Sequence[int]:
        """Ids of the lines before the cursor's, beside `kept` ids of that line."""
        return _last(encoded(self.before, self._tokenizer), self._room.prefix - kept)

    def joined_ids(self) -> Sequence[int]:
        """Ids of all text before the cursor; tokens may span the line break."""
        text = self.before + self.typed
        return _last(self._tokenizer.encode(text), self._room.prefix)

    def after_ids(self) -> Sequence[int]:
        """Ids of the text behind the cursor."""
        return first_tokens(unix(self._suffix), self._room.suffix, self._tokenizer)


def context_ids(request: Complete, tokenizer: Tokenizer, budget: int) -> list[int]:
    """Give ids of the snippets of other files, each under its name, then the name of this one.

    Where the vocabulary has a token that parts files it does so, and comments of the language hold
    the names elsewhere. Snippets are taken whole, in order, as far as `budget` tokens reach.
    Nothing is written where there are none: then models expect a file alone.
    """
    fim = tokenizer.fim
    file = None if fim is None else fim.file
    own = _named(request, PurePath(request.path).name, "", tokenizer, file)
    ids: list[int] = []
    for snippet in request.snippets:
        piece = _named(request, snippet.path, unix(snippet.text), tokenizer, file)
        if len(ids) + len(piece) + len(own) > budget:
            break
        ids += piece
    return [*ids, *own] if ids else []


def _named(
    request: Complete, path: str, text: str, tokenizer: Tokenizer, file: int | None
) -> list[int]:
    if text and not text.endswith("\n"):
        text += "\n"
    if file is not None:
        return [file, *encoded(f"{path}\n{text}", tokenizer)]
    return list(encoded(f"{_COMMENTS.get(request.language, '//')} {path}\n{text}", tokenizer))


def unix(text: str) -> str:
    """Give `text` with line feeds for line ends."""
    return text.replace("\r\n", "\n")


def _last(ids: Sequence[int], count: int) -> Sequence[int]:
    return ids[max(0, len(ids) - count) :]
