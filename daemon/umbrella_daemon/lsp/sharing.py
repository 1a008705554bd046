"""What the daemon is told of the documents of this window: those that may help with another one.

Promises: nothing of a document that is kept out, none where `completion.context` is off, nothing
twice. Whole texts are sent, when another document is asked about, so typing sends nothing more.
"""

from typing import Final

from pygls.uris import to_fs_path

from umbrella_daemon.client import DaemonClient
from umbrella_daemon.lsp.documents import Document, Documents
from umbrella_daemon.scope import refusal
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Closed, Opened

MOST_DOCUMENTS: Final = 16  # the daemon holds no more
MOST_CHARACTERS: Final = 100_000


class Sharing:
    """Remembers what was told to which daemon."""

    def __init__(self) -> None:
        self._link: object = None
        self._told: dict[str, int] = {}  # version by URI

    def tell(
        self, client: DaemonClient, documents: Documents, asked: str, settings: CompletionSettings
    ) -> None:
        """Bring the daemon up to date on everything but the document that is asked about."""
        if not client.connected or not settings.context:
            return
        if client.link is not self._link:
            self._link = client.link
            self._told.clear()
        known = documents.all()
        for uri in [uri for uri in self._told if uri not in known]:
            del self._told[uri]
            client.tell(Closed(uri))
        for uri in list(known)[-MOST_DOCUMENTS:]:
            document = known[uri]
            if uri != asked and self._told.get(uri) != document.version:
                self._told[uri] = document.version
                self._share(client, uri, document, settings)

    def _share(
        self, client: DaemonClient, uri: str, document: Document, settings: CompletionSettings
    ) -> None:
        path = to_fs_path(uri) or ""
        if document.characters > MOST_CHARACTERS:
            return
        if refusal(path or uri, document.language, settings) is None:
            client.tell(Opened(uri, document.language, path, "".join(document.lines)))
