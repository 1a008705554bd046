"""What an editor tells of typing → a trace that `umbrella bench keystrokes` replays.

Off unless the user asks for it. Promises: nothing of a document that is kept out of Umbrella or
of other files' context, nothing while completion is switched off, and, masked, no text that can be
read. A recording that cannot go on ends with a message; typing never does.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lsprotocol import types
from msgspec.structs import replace
from pygls.uris import to_fs_path

from umbrella_daemon import typing_trace
from umbrella_daemon.lsp.documents import Document, Documents, Place, without_surrogates
from umbrella_daemon.lsp.positions import Units
from umbrella_daemon.paths import recordings_directory
from umbrella_daemon.recordings import Recording, RecordingError
from umbrella_daemon.scope import Scope, in_folders
from umbrella_daemon.settings import CompletionSettings, RecordingSettings, Settings
from umbrella_daemon.typing_trace import Ask, Change, Close, Event, Focus, Header, Open

MEGABYTE: Final = 1_000_000
ACCEPT_MS: Final = 2000.0  # longest time from an accepted edit to the editor's word that it was one
_UTF16: Final = Units("utf-16")
_SAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")


class Recorder:
    """The recording of one window; `tell` shows a sentence to its user."""

    def __init__(self, documents: Documents, tell: Callable[[str], None]) -> None:
        self._documents = documents
        self._tell = tell
        self._settings = RecordingSettings()
        self._completion = CompletionSettings()
        self._scope = Scope(self._completion)
        self._file: Recording | None = None
        self._began = 0.0
        self._names: dict[str, str] = {}  # by URI, as long as the recording lasts
        self._open: set[str] = set()  # URIs of documents that the trace holds open
        self._latest: list[Event] = []  # an edit and what came since; it may be told as accepted
        self._last: Event | None = None

    @property
    def place(self) -> str | None:
        """Where a recording is being written, None where none is."""
        return str(self._file.path) if self._file else None

    def follow(self, settings: Settings) -> None:
        """Begin, go on or end as the settings say."""
        if settings.completion != self._completion:
            self._completion = settings.completion
            self._scope = Scope(settings.completion)
        if settings.recording != self._settings:
            self.stop()
            self._settings = settings.recording
            if self._settings.typing != "off":
                self._begin()
        self._reconsider()

    def stop(self) -> None:
        """End the recording, if there is one."""
        if self._file is not None:
            self._flush()
        self._drop()

    def opened(self, uri: str, document: Document) -> None:
        """Note that a document was opened, once more perhaps."""
        if self._file is not None:
            self._forget(uri)
            self._admits(uri, document)

    def changing(
        self, uri: str, document: Document, edges: tuple[Place, Place] | None, text: str
    ) -> None:
        """Note an edit; `document` is as it was before."""
        if not self._admits(uri, document):
            return
        span = None
        if edges is not None:
            span = (*_utf16(document, edges[0]), *_utf16(document, edges[1]))
        self._flush()
        self._note(Change(self._now(), self._name(uri), span, self._hidden(text)))

    def closed(self, uri: str) -> None:
        """Note that a document is gone."""
        self._forget(uri)

    def asked(self, params: types.InlineCompletionParams) -> None:
        """Note that the editor asks; the same again, with nothing in between, counts once."""
        found = self._at(params)
        by_key = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
        if found is None:
            return
        match self._last:
            case Ask(document=name, at=at, by_key=by) if (name, at, by) == (*found, by_key):
                return
        self._note(Ask(self._now(), *found, by_key))

    def focused(self, params: types.InlineCompletionParams) -> None:
        """Note where the cursor has come to without typing."""
        if found := self._at(params):
            self._note(Focus(self._now(), *found))

    def accepted(self) -> None:
        """Note that the latest edit was a suggestion that was taken over."""
        match self._latest:
            case [Change(ms=ms) as change, *_] if self._now() - ms <= ACCEPT_MS:
                self._latest[0] = replace(change, accepted=True)

    def _begin(self) -> None:
        folder = recordings_directory()
        masked = self._settings.typing == "masked"
        try:
            self._file = Recording.begin(folder, round(self._settings.max_mb * MEGABYTE))
            self._file.append(typing_trace.line(Header(masked=masked, source="recorded")))
        except RecordingError as error:
            self._tell(f"Umbrella: typing is not recorded: {error}.")
            self._drop()
            return
        self._began = time.perf_counter()
        text = "its text masked" if masked else "with its text as it is"
        self._tell(
            f"Umbrella records your typing, {text}, into {self._file.path}. Nobody is sent it; "
            'recording.typing = "off" ends it.'
        )

    def _reconsider(self) -> None:
        """Take over what is open and may be recorded under the settings as they are now."""
        if self._file is not None:
            for uri, document in self._documents.all().items():
                self._admits(uri, document)

    def _admits(self, uri: str, document: Document) -> bool:
        """Say whether a document may be recorded, and open or close it in the trace."""
        if self._file is None:
            return False
        if not self._may_be_read(uri, document):
            self._forget(uri)
            return False
        if uri not in self._open:
            self._open.add(uri)
            text = self._hidden("".join(document.lines))
            self._note(Open(self._now(), self._name(uri), document.language, text))
        return self._file is not None

    def _may_be_read(self, uri: str, document: Document) -> bool:
        path = to_fs_path(uri) or ""
        return (
            self._completion.enabled
            and document.characters <= self._completion.max_file_mb * MEGABYTE
            and self._scope.refusal(path or uri, document.language) is None
            and not in_folders(path, self._completion.context_off)
        )

    def _forget(self, uri: str) -> None:
        if uri in self._open:
            self._open.discard(uri)
            self._note(Close(self._now(), self._name(uri)))

    def _at(self, params: types.InlineCompletionParams) -> tuple[str, Place] | None:
        """Give a document's name and a place in it, None where it is not recorded."""
        uri = params.text_document.uri
        document = self._documents.get(uri)
        if document is None:
            return None
        uri = self._documents.key(uri)
        if not self._admits(uri, document):
            return None
        return self._name(uri), _utf16(
            document, document.place(params.position, self._documents.units)
        )

    def _name(self, uri: str) -> str:
        if uri not in self._names:
            name = Path(to_fs_path(uri) or uri).name
            extension = _EXTENSION.search(name)
            masked = self._settings.typing == "masked"
            shown = (extension[0] if extension else "") if masked else "-" + _SAFE.sub("_", name)
            self._names[uri] = f"{len(self._names) + 1}{shown}"
        return self._names[uri]

    def _hidden(self, text: str) -> str:
        text = without_surrogates(text)
        return typing_trace.mask(text) if self._settings.typing == "masked" else text

    def _now(self) -> float:
        """Give milliseconds since the recording began."""
        return round((time.perf_counter() - self._began) * 1e3, 1)

    def _note(self, event: Event) -> None:
        if self._file is None:
            return
        self._last = event
        self._latest.append(event)
        first = self._latest[0]
        if not isinstance(first, Change) or event.ms - first.ms > ACCEPT_MS:
            self._flush()

    def _flush(self) -> None:
        """Write what cannot become anything else any more."""
        latest, self._latest = self._latest, []
        if self._file is None or not latest:
            return
        try:
            self._file.append(b"".join(map(typing_trace.line, latest)))
        except RecordingError as error:
            self._tell(
                f"Umbrella: the recording {self._file.path} has ended: {error}. What was recorded "
                "before is kept."
            )
            self._drop()

    def _drop(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._names.clear()
        self._open.clear()
        self._latest.clear()
        self._last = None


def _utf16(document: Document, place: Place) -> Place:
    line, character = place
    return line, _UTF16.count(document.lines[line][:character])
