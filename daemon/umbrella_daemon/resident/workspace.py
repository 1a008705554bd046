"""The files of one editor window as far as they may help with each other.

Promises: only files that are in scope, only of this window, bounded in number and size. What is
selected for a document stays until `adopt` names something else, so that the prompt stays the same
from key to key. `candidates` is called in the event loop's thread and gives a task that may run in
any.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Final

from umbrella_daemon.resident.chunks import Chunk, chunks
from umbrella_daemon.resident.definitions import imported_files
from umbrella_daemon.resident.ranking import Place, select
from umbrella_daemon.scope import in_folders, refusal
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Complete, Opened

MAX_DOCUMENTS: Final = 16  # open and recent
MAX_CHARACTERS: Final = 100_000  # of a document; longer ones are not read for others
MOVED_CHARACTERS: Final = 1500  # that the cursor moves before something else may help

Selection = tuple[Chunk, ...]


@dataclass(slots=True)
class Document:
    """A file of the window; `pieces` are cut when they are first asked for."""

    path: str
    language: str
    text: str
    first_lines: frozenset[str]  # those it had when it was opened
    pieces: tuple[Chunk, ...] | None = None

    def cut(self) -> tuple[Chunk, ...]:
        """Give its pieces."""
        if self.pieces is None:
            self.pieces = tuple(chunks(_name(self.path), self.text))
        return self.pieces

    def edited(self) -> set[Chunk]:
        """Give the pieces with lines that were not there when it was opened."""
        return {piece for piece in self.cut() if piece.lines - self.first_lines}


@dataclass(slots=True)
class Workspace:
    """Documents by name, latest last, and what was selected for each of them."""

    settings: CompletionSettings
    max_characters: int  # of all snippets together; 0: there are none
    _documents: dict[str, Document] = field(default_factory=dict)
    _selected: dict[str, Selection] = field(default_factory=dict)
    _looked_at: dict[str, tuple[int, int]] = field(default_factory=dict)  # changes, place
    _changes: int = 0

    def open(self, opened: Opened) -> None:
        """Take note of what a document holds."""
        self._changes += 1
        if self.max_characters and self._may_read(opened.path or opened.document, opened.language):
            self._put(opened.document, opened.path, opened.language, opened.text)
        else:
            self._documents.pop(opened.document, None)

    def close(self, document: str) -> None:
        """Take note that the editor closed it; it stays as a recent one."""
        self._selected.pop(document, None)
        self._looked_at.pop(document, None)

    def follow(self, request: Complete) -> None:
        """Take note of what the document that is being edited, which is in scope, holds now."""
        if self.max_characters and request.context:
            text = request.prefix + request.suffix
            self._put(request.document, request.path, request.language, text)

    def selected(self, document: str) -> Selection:
        """Give what is selected for a document."""
        return self._selected.get(document, ())

    def candidates(self, request: Complete) -> Callable[[], Selection] | None:
        """Give the task of selecting anew, None where there is no reason to.

        The result is to be handed to `adopt` once the prompt with it is in the cache.
        """
        if not request.context or not self.max_characters:
            return None
        changes, place = self._looked_at.get(request.document, (-1, 0))
        moved = abs(len(request.prefix) - place) > MOVED_CHARACTERS
        if changes == self._changes and not moved:
            return None
        self._looked_at[request.document] = self._changes, len(request.prefix)
        held = self._selected.get(request.document, ())
        own = request.path or request.document
        others = [one for one in self._documents.values() if one.path != own]
        return partial(self._select, request, others, held)

    def adopt(self, document: str, selection: Selection) -> None:
        """Use `selection` for `document` from now on."""
        self._selected[document] = selection

    def _select(self, request: Complete, others: list[Document], held: Selection) -> Selection:
        others = [one for one in others if self._may_read(one.path, one.language)]
        pieces = {piece: None for one in others for piece in one.cut()}
        edited = {piece for one in others for piece in one.edited()}
        place = Place(_name(request.path), request.prefix, request.suffix)
        known = {request.path, *(one.path for one in others)}
        for path, text in imported_files(request, place.imported()):
            if path not in known and self._may_read(path, request.language):
                wanted = place.imported()
                pieces |= {one: None for one in chunks(_name(path), text) if one.defines & wanted}
        return select(place, pieces, edited, held, self.max_characters)

    def _may_read(self, path: str, language: str) -> bool:
        kept_out = refusal(path, language, self.settings)
        return kept_out is None and not in_folders(path, self.settings.context_off)

    def _put(self, document: str, path: str, language: str, text: str) -> None:
        known = self._documents.pop(document, None)
        if len(text) > MAX_CHARACTERS:
            return
        if known is not None and known.text == text:
            self._documents[document] = known
            return
        first = known.first_lines if known else frozenset(map(str.strip, text.splitlines()))
        self._documents[document] = Document(path or document, language, text, first)
        while len(self._documents) > MAX_DOCUMENTS:
            del self._documents[next(iter(self._documents))]


def _name(path: str) -> str:
    """Give the name under which a model sees a file: its own and its folder's."""
    return "/".join(PurePath(path).parts[-2:])
