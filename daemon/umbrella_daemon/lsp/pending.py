"""The newest request of a document wins, whether the editor cancels the older one or not.

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
    """The one request of each document that may still be answered with text."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    @contextmanager
    def turn(self, document: str) -> Iterator[Turn]:
        """Run the block as the newest request of `document`.

        When it is superseded, what it awaits is cancelled and the block is left quietly, with
        `Turn.superseded` set. A cancellation by anybody else passes through.
        """
        self.supersede(document)
        task = asyncio.current_task()
        assert task is not None
        turn = self._turns[document] = Turn(task)
        try:
            yield turn
        except asyncio.CancelledError:
            if not turn.superseded or task.uncancel() > 0:
                raise
        finally:
            if self._turns.get(document) is turn:
                del self._turns[document]

    def supersede(self, document: str) -> None:
        """End the running request of `document`, if there is one."""
        if turn := self._turns.pop(document, None):
            turn.end()
