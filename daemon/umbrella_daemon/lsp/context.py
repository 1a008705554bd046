"""From the editor's request to what the daemon is asked: text around the cursor, or silence.

Everything that can be decided without a model is decided here, in the order a person would give
as the reason. Knows nothing of the daemon and of how answers look.

The text is cut to what any prompt could use. The cut before the cursor lies on a coarse grid, so
that it stays where it is while somebody types: the daemon reuses what it has computed for a prefix
only as long as the prefix starts at the same place.
"""

import asyncio
import os
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Final

import msgspec
from lsprotocol import types
from pygls.uris import to_fs_path

from umbrella_daemon.lsp.documents import Document, Documents, Place, without_surrogates
from umbrella_daemon.scope import refusal
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Reason

PREFIX_CHARACTERS: Final = 64 * 1024  # at least so many are kept, at most one step more
PREFIX_STEP: Final = 16 * 1024
SUFFIX_CHARACTERS: Final = 16 * 1024
BLOCK_LINES: Final = 256  # joined at a time
MEGABYTE: Final = 1_000_000
UNDECODABLE_SHARE: Final = 0.1  # of U+FFFD, from which on text is taken for binary


class Silence(msgspec.Struct, frozen=True):
    """Why nothing is asked: a value of `Reason` and a sentence for a person."""

    reason: str
    detail: str


class Question(msgspec.Struct, frozen=True):
    """What the daemon is asked, and where its answer goes."""

    document: str
    version: int
    language: str
    path: str
    prefix: str
    suffix: str
    explicit: bool
    range: types.Range  # what an answer replaces; empty unless an item is selected in a menu
    head: str = ""  # text of that item: the prefix ends with it and the answer begins with it


async def ask(
    params: types.InlineCompletionParams, documents: Documents, settings: CompletionSettings
) -> Question | Silence:
    """Read the request; an open document is read before the first await."""
    uri = params.text_document.uri
    path = to_fs_path(uri)
    if not settings.enabled:
        return Silence(Reason.DISABLED, "completion.enabled is false")
    document = documents.get(uri)
    if kept_out := refusal(path or uri, document.language if document else "", settings):
        return Silence(kept_out.reason, kept_out.detail)
    if document is None:
        found = await asyncio.to_thread(_from_disk, path, settings.max_file_mb)
        if isinstance(found, Silence):
            return found
        document = found
    if document.characters > settings.max_file_mb * MEGABYTE:
        return _too_large(document.characters, settings.max_file_mb)
    return _question(params, path or "", document, documents)


def _question(
    params: types.InlineCompletionParams, path: str, document: Document, documents: Documents
) -> Question | Silence:
    units = documents.units
    selected = params.context.selected_completion_info
    start = end = document.place(params.position, units)
    if selected is not None:
        start, end = sorted(
            document.place(edge, units) for edge in (selected.range.start, selected.range.end)
        )
    head = "" if selected is None else without_surrogates(selected.text)
    prefix, suffix = before(document, start) + head, after(document, end)
    if _looks_binary(prefix) or _looks_binary(suffix):
        return Silence(Reason.BINARY, "the file is not text")
    return Question(
        document=params.text_document.uri,
        version=document.version,
        language=document.language,
        path=path,
        prefix=prefix,
        suffix=suffix,
        explicit=params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked,
        range=types.Range(
            *(
                types.Position(line, units.count(document.lines[line][:character]))
                for line, character in (start, end)
            )
        ),
        head=head,
    )


def before(document: Document, place: Place) -> str:
    """Give the text before a place, from a start that moves rarely and in large steps."""
    line, character = place
    last = document.lines[line][:character]
    if document.characters < PREFIX_CHARACTERS + PREFIX_STEP:
        return "".join(document.lines[:line]) + last
    starts = list(accumulate(map(len, document.lines[:line]), initial=0))
    cut = max(0, starts[line] + character - PREFIX_CHARACTERS) // PREFIX_STEP * PREFIX_STEP
    first = bisect_right(starts, cut) - 1  # the line that holds the cut
    skipped = cut - starts[first]
    if skipped and first < line and starts[first + 1] - cut <= PREFIX_STEP:
        first, skipped = first + 1, 0  # begin with a whole line
    return "".join([*document.lines[first:line], last])[skipped:]


def after(document: Document, place: Place) -> str:
    """Give the text after a place, at most SUFFIX_CHARACTERS of it."""
    line, character = place
    text = document.lines[line][character:]
    for start in range(line + 1, len(document.lines), BLOCK_LINES):
        if len(text) >= SUFFIX_CHARACTERS:
            break
        text += "".join(document.lines[start : start + BLOCK_LINES])
    return text[:SUFFIX_CHARACTERS]


def _looks_binary(text: str) -> bool:
    return "\0" in text or text.count("\ufffd") > len(text) * UNDECODABLE_SHARE


def _from_disk(path: str | None, max_file_mb: float) -> Document | Silence:
    if not path or not Path(path).is_file():
        return Silence(Reason.NO_DOCUMENT, "the document was never opened and is no file on disk")
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_file_mb * MEGABYTE:
                return _too_large(size, max_file_mb)
            data = file.read()
    except OSError as error:
        return Silence(Reason.NO_DOCUMENT, f"the document was never opened; {error}")
    try:
        return Document(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Silence(Reason.BINARY, f"{path} is not UTF-8 text: {error}")


def _too_large(size: int, limit: float) -> Silence:
    return Silence(
        Reason.TOO_LARGE, f"{size / MEGABYTE:.1f} MB is over completion.max_file_mb = {limit:g}"
    )
