"""A place in a file on disk → what an editor that has just opened the file would ask there.

The language server's own rules decide (secrets, size, binary, languages), so that a person at the
terminal gets the same answer, or the same reason for none, as in the editor.
"""

from pathlib import Path
from typing import NamedTuple

from lsprotocol import types

from umbrella_daemon.languages import language_id
from umbrella_daemon.lsp.context import Question, Silence, ask
from umbrella_daemon.lsp.documents import Document, Documents
from umbrella_daemon.secrets import may_hold_secrets
from umbrella_daemon.settings import CompletionSettings


class PlaceError(Exception):
    """There is no such file, line or column."""


class Place(NamedTuple):
    """As people count: lines and columns from 1; without a column it is the line's end."""

    path: Path
    line: int
    column: int | None = None


async def question_at(
    place: Place, language: str | None, settings: CompletionSettings
) -> Question | Silence:
    """Give the question, or why none is asked; `language` None is guessed from the file's name.

    Raises PlaceError.
    """
    path = place.path.absolute()
    uri = path.as_uri()
    documents = Documents()
    position = types.Position(place.line - 1, 0)
    text = None if may_hold_secrets(str(path)) else _read(path)
    if text is not None:
        documents.open(types.TextDocumentItem(uri, language or language_id(path), 1, text))
        document = documents.get(uri)
        assert document is not None
        position = types.Position(place.line - 1, documents.units.count(_before(document, place)))
    context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked)
    params = types.InlineCompletionParams(context, types.TextDocumentIdentifier(uri), position)
    return await ask(params, documents, settings)


def _read(path: Path) -> str | None:
    """Give a file's text, None where it is not text: the language server says so in its words."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PlaceError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        return None


def _before(document: Document, place: Place) -> str:
    """Give the text of the line before the cursor."""
    if place.line > len(document.lines):
        raise PlaceError(f"{place.path} has {len(document.lines)} lines, not {place.line}.")
    line = document.lines[place.line - 1].rstrip("\r\n")
    column = len(line) + 1 if place.column is None else place.column
    if column > len(line) + 1:
        raise PlaceError(
            f"{place.path}:{place.line} has {len(line)} characters; the cursor can be in columns 1 "
            f"to {len(line) + 1}, not {column}."
        )
    return line[: column - 1]
