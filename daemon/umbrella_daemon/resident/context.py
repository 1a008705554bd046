"""What other files of a window say for a request, found while nobody waits.

Belongs to the thread of the event loop; looking through files happens in a thread of its own, one
look at a time. Promises: what a request is given changes only by `adopt`, so that finding something
better never delays a key. Knows no prompts and no engine.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from umbrella_daemon.resident.workspace import Selection, Workspace
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Closed, Complete, Opened, Snippet

log: Final = logging.getLogger(__name__)

CHARACTERS: Final = 3  # of code for a token, at least

Key = tuple[int, str]


def snippets(selection: Selection) -> tuple[Snippet, ...]:
    """Give a selection as a request carries it."""
    return tuple(Snippet(piece.path, piece.text) for piece in selection)


class Context:
    """The workspaces of all windows."""

    def __init__(self, settings: Settings, call: Callable[..., object]) -> None:
        self._settings = settings.completion
        self._characters = CHARACTERS * settings.prompt.context_tokens
        self._call = call
        self._windows: dict[int, Workspace] = {}
        self._found: dict[Key, Selection] = {}
        self._reader = ThreadPoolExecutor(1, "context")
        self.looking = 0  # looks that are under way or wait

    def given(self, client: int, request: Complete) -> Complete:
        """Give `request` with what is selected for its document, and follow its text."""
        if not request.context or request.snippets or not self._characters:
            return request
        window = self._window(client)
        window.follow(request)
        return replace(request, snippets=snippets(window.selected(request.document)))

    def heed(self, client: int, notice: Opened | Closed) -> None:
        """Take note of a document that was opened, changed or closed."""
        match notice:
            case Opened():
                self._window(client).open(notice)
            case Closed(document=document):
                self._window(client).close(document)
                self._found.pop((client, document), None)

    def look(self, client: int, request: Complete) -> None:
        """Look for something better for the document of `request` if there is a reason to."""
        look = self._window(client).candidates(request)
        if look is not None:
            with suppress(RuntimeError):  # closed
                self._reader.submit(self._run, (client, request.document), look)
                self.looking += 1

    def found(self, client: int, document: str) -> Selection | None:
        """Give what was found since the last `adopt`, None where that is nothing better."""
        return self._found.get((client, document))

    def adopt(self, client: int, document: str, selection: Selection) -> None:
        """Give `selection` to the requests of `document` from now on."""
        if client in self._windows:
            self._windows[client].adopt(document, selection)
        if self._found.get((client, document)) is selection:
            del self._found[client, document]

    def leave(self, client: int) -> None:
        """Forget a window."""
        self._windows.pop(client, None)
        for key in [key for key in self._found if key[0] == client]:
            del self._found[key]

    def close(self) -> None:
        """End the thread that looks through files."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _window(self, client: int) -> Workspace:
        if client not in self._windows:
            self._windows[client] = Workspace(self._settings, self._characters)
        return self._windows[client]

    def _run(self, key: Key, look: Callable[[], Selection]) -> None:
        """Look, in the thread that reads."""
        try:
            self._call(self._keep, key, look())
        except Exception:
            log.exception("looking through other files failed")
        finally:
            self._call(self._looked)

    def _looked(self) -> None:
        self.looking -= 1

    def _keep(self, key: Key, selection: Selection) -> None:
        window = self._windows.get(key[0])
        if window is not None and selection != window.selected(key[1]):
            self._found[key] = selection
