"""What the engine may copy from: documents as the editors last knew them, accepted text included.

Belongs to the thread of the event loop; encodes in a thread of its own, so that no request waits
for it. Promises: a document is noted when it is opened, asked about for the first time, changed by
much, or left for another one; files around it once, where that is wanted. Kept in memory only.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from umbrella_daemon.resident.surroundings import Allowed, files_around
from umbrella_daemon.scope import repository
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import Engine

log: Final = logging.getLogger(__name__)

MAX_DOCUMENTS: Final = 64
MAX_CHARACTERS: Final = 100_000  # of a document; of one that is longer, what is around the cursor
CHANGED_MUCH: Final = 1000  # characters more or fewer than were noted


class Memory:
    """Tells an engine of documents."""

    def __init__(self, allowed: Allowed | None = None) -> None:
        """Copy from the files around documents too, from those that are `allowed`; None: don't."""
        self._allowed = allowed
        self._repositories: set[Path] = set()  # whose files were read already
        self._engine: Engine | None = None
        self._noted: dict[str, str] = {}  # by document, the one noted last comes last
        self._latest: tuple[str, str] = "", ""  # the document asked about last and its text
        self._encoder = ThreadPoolExecutor(1, "memory")

    def serve(self, engine: Engine) -> None:
        """Tell `engine` from now on, first of all that is known."""
        self._engine = engine
        self._repositories.clear()
        for document in self._noted:
            self._tell(document)

    def note(self, document: str, text: str) -> None:
        """Hold `text` as what `document` says now; the start of one too long."""
        text = text[:MAX_CHARACTERS]
        known = self._noted.pop(document, None)
        self._noted[document] = text
        if known != text:
            self._tell(document)
        if len(self._noted) > MAX_DOCUMENTS:
            del self._noted[next(iter(self._noted))]

    def watch(self, request: Complete) -> None:
        """Note what a request shows of its document, where that is due."""
        self._look_around(request)
        half = MAX_CHARACTERS // 2
        text = request.prefix[-half:] + request.suffix[:half]
        left, its_text = self._latest
        self._latest = request.document, text
        if left and left != request.document:
            self.note(left, its_text)
        noted = self._noted.get(request.document)
        if noted is None or abs(len(noted) - len(text)) >= CHANGED_MUCH:
            self.note(request.document, text)

    def close(self) -> None:
        """Let go of the thread once it has done what it began."""
        self._encoder.shutdown(cancel_futures=True)

    def _look_around(self, request: Complete) -> None:
        """Read the other files of the repository, once; what is open goes before what is stored."""
        path = Path(request.path)
        root = (
            repository(path) if self._allowed and request.context and path.is_absolute() else None
        )
        if self._engine is None or root is None or root in self._repositories:
            return
        self._repositories.add(root)
        assert self._allowed is not None, "without it no repository is looked for"
        self._encoder.submit(self._read_around, self._engine, path, self._allowed)

    def _read_around(self, engine: Engine, path: Path, allowed: Allowed) -> None:
        found = [one for one in files_around(path, allowed) if one[0].as_uri() not in self._noted]
        for file, text in reversed(found):  # the nearest last: the first to be found
            _remember(engine, file.as_uri(), text)

    def _tell(self, document: str) -> None:
        if self._engine is not None:
            self._encoder.submit(_remember, self._engine, document, self._noted[document])


def _remember(engine: Engine, document: str, text: str) -> None:
    try:
        engine.remember(document, engine.tokenizer.encode(text))
    except Exception:  # speed suffers, nothing else
        log.warning("a document could not be remembered", exc_info=True)
