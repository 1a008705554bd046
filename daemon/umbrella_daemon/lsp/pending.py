"""The newest request of a document and kind wins, whether the editor cancels the older one or not.

Some editors leave older requests running and show their answers late. Here an older one ends as
soon as a newer one begins or the text changes, and its handler goes on to answer with nothing.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Turn:
    """The right of one request to run for its document."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.superseded = False
        self._task = task

    def end(self) -> None:
        """Stop the request: something newer has come."""
        self.superseded = True
        self._task.cancel()


class Pending:
    """The one request of each document and kind that may still be answered with text."""

    def __init__(self) -> None:
        self._turns: dict[str, dict[str, Turn]] = {}  # by document, then by kind

    @contextmanager
    def turn(self, document: str, kind: str) -> Iterator[Turn]:
        """Run the block as the newest request of `document` among those of its `kind`.

        When it is superseded, what it awaits is cancelled and the block is left quietly, with
        `Turn.superseded` set. A cancellation by anybody else passes through.
        """
        turns = self._turns.setdefault(document, {})
        if older := turns.pop(kind, None):
            older.end()
        task = asyncio.current_task()
        assert task is not None
        turn = turns[kind] = Turn(task)
        try:
            yield turn
        except asyncio.CancelledError:
            if not turn.superseded or task.uncancel() > 0:
                raise
        finally:
            if turns.get(kind) is turn:
                del turns[kind]
            if not turns and self._turns.get(document) is turns:
                del self._turns[document]

    def supersede(self, document: str) -> None:
        """End the running requests of `document`."""
        for turn in self._turns.pop(document, {}).values():
            turn.end()

    def supersede_all(self) -> None:
        """End every running request."""
        for document in list(self._turns):
            self.supersede(document)
