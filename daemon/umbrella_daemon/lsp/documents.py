r"""The text of the documents that are open in the editor, kept as lines.

A line ends as the protocol says, with "\n", "\r\n" or "\r" and with nothing else: pygls' own
workspace also breaks lines at form feeds and other separators, after which every position below
is off by one, and it splits the whole text again at each use. Text here never holds lone
surrogates: each is replaced by U+FFFD, which is as long in every encoding, so columns still agree
with the editor's.
"""

import io
import re
from collections.abc import Iterable
from typing import Final, Protocol
from urllib.parse import unquote

from lsprotocol import types

from umbrella_daemon.lsp.positions import Units

_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")

Place = tuple[int, int]  # line, character in that line


def split_lines(text: str) -> list[str]:
    """Cut text into lines that keep their ends; the last one has none and may be empty."""
    lines = list(io.StringIO(text, newline=""))
    if not lines or lines[-1].endswith(("\n", "\r")):
        lines.append("")
    return lines


def without_surrogates(text: str) -> str:
    """Replace what cannot be encoded by U+FFFD, one for one."""
    return text if text.isascii() else _LONE_SURROGATES.sub("\ufffd", text)


class Document:
    """One text with its language; positions are clamped to it, never refused."""

    def __init__(self, text: str, language: str = "", version: int = 0) -> None:
        self.language = language
        self.version = version
        self.lines = split_lines(without_surrogates(text))
        self.characters = len(text)

    def place(self, position: types.Position, units: Units) -> Place:
        """Give line and character of a client's position, clamped to the text."""
        if position.line >= len(self.lines):
            return len(self.lines) - 1, len(self.lines[-1])
        line = self.lines[position.line].rstrip("\r\n")
        return position.line, units.index(line, position.character)

    def replace(self, start: Place, end: Place, text: str) -> bool:
        """Put `text` between two places; say whether anything is different now."""
        (first, head), (last, tail) = sorted((start, end))
        if head == 0 and first and self.lines[first - 1].endswith("\r"):
            first, head = first - 1, len(self.lines[first - 1])  # a "\n" may join its "\r"
        old = self.lines[first : last + 1]
        new = split_lines(old[0][:head] + without_surrogates(text) + old[-1][tail:])
        if last + 1 < len(self.lines):
            new.pop()  # the empty line after the last end is the next line of the document
        self.lines[first : last + 1] = new
        self.characters += sum(map(len, new)) - sum(map(len, old))
        return new != old

    def replace_all(self, text: str) -> bool:
        """Put `text` in the place of everything."""
        end = (len(self.lines) - 1, len(self.lines[-1]))
        return self.replace((0, 0), end, text)


class Follower(Protocol):
    """Who is told of each edit before it is made."""

    def opened(self, uri: str, document: Document) -> None:
        """Take note of a document that was opened."""
        ...

    def changing(
        self, uri: str, document: Document, edges: tuple[Place, Place] | None, text: str
    ) -> None:
        """Take note of text that comes between two places, or, None, in the place of all."""
        ...

    def closed(self, uri: str) -> None:
        """Take note of a document that is gone."""
        ...


class Documents:
    """Open documents by URI, in the position encoding of `units`."""

    def __init__(self) -> None:
        self.units = Units()
        self.follower: Follower | None = None
        self._open: dict[str, Document] = {}

    def get(self, uri: str) -> Document | None:
        """Give an open document."""
        return self._open.get(unquote(uri))

    def key(self, uri: str) -> str:
        """Give the one spelling of a URI by which a document is known."""
        return unquote(uri)

    def all(self) -> dict[str, Document]:
        """Give the open documents by URI, those opened last at the end."""
        return dict(self._open)

    def open(self, item: types.TextDocumentItem) -> None:
        """Take a document over from the editor."""
        document = Document(item.text, item.language_id, item.version)
        self._open[unquote(item.uri)] = document
        if self.follower:
            self.follower.opened(unquote(item.uri), document)

    def close(self, uri: str) -> None:
        """Forget a document."""
        self._open.pop(unquote(uri), None)
        if self.follower:
            self.follower.closed(unquote(uri))

    def save(self, uri: str, text: str) -> bool:
        """Take the whole text of an open document; say whether it is different now."""
        document = self.get(uri)
        if document is None or text == "".join(document.lines):
            return False
        return self._replace_all(unquote(uri), document, text)

    def change(
        self,
        identifier: types.VersionedTextDocumentIdentifier,
        changes: Iterable[types.TextDocumentContentChangeEvent],
    ) -> bool:
        """Apply the editor's changes in order; say whether the text is different now.

        A whole text for a document that was never opened opens it; a part of one is ignored,
        because there is nothing it could be a part of.
        """
        different = False
        for change in changes:
            document = self.get(identifier.uri)
            partial = isinstance(change, types.TextDocumentContentChangePartial)
            if document is None and not partial:
                document = self._open[unquote(identifier.uri)] = Document("")
            if document is None:
                continue
            document.version = identifier.version
            if isinstance(change, types.TextDocumentContentChangePartial):
                start = document.place(change.range.start, self.units)
                end = document.place(change.range.end, self.units)
                if self.follower:
                    edges = (min(start, end), max(start, end))
                    self.follower.changing(unquote(identifier.uri), document, edges, change.text)
                different |= document.replace(start, end, change.text)
            else:
                different |= self._replace_all(unquote(identifier.uri), document, change.text)
        return different

    def _replace_all(self, uri: str, document: Document, text: str) -> bool:
        if self.follower:
            self.follower.changing(uri, document, None, text)
        return document.replace_all(text)
