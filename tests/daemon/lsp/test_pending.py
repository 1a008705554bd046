import asyncio

import pytest

from umbrella_daemon.lsp.pending import Pending


class Work:
    """Something that runs for ever and notes how it ends."""

    def __init__(self, pending: Pending, document: str, kind: str = "inline") -> None:
        self.began = asyncio.Event()
        self.cancelled = False
        self.superseded = False
        self.task = asyncio.create_task(self._run(pending, document, kind))

    async def _run(self, pending: Pending, document: str, kind: str) -> str:
        with pending.turn(document, kind) as turn:
            try:
                self.began.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        self.superseded = turn.superseded
        await asyncio.sleep(0)  # the task goes on as if it had not been cancelled
        return "answered"


async def test_a_newer_request_ends_the_older_one() -> None:
    pending = Pending()
    older = Work(pending, "a")
    await older.began.wait()
    newer = Work(pending, "a")
    assert await older.task == "answered"
    assert older.cancelled
    assert older.superseded
    assert not newer.task.done()
    pending.supersede("a")
    assert await newer.task == "answered"


async def test_other_documents_are_left_alone() -> None:
    pending = Pending()
    other = Work(pending, "b")
    await other.began.wait()
    pending.supersede("a")
    await asyncio.sleep(0)
    assert not other.cancelled
    pending.supersede("b")
    await other.task


async def test_other_kinds_are_left_alone_until_the_text_changes() -> None:
    pending = Pending()
    one, other = Work(pending, "a"), Work(pending, "a", "menu")
    await one.began.wait()
    newer = Work(pending, "a")
    assert await one.task == "answered"
    assert not other.cancelled
    pending.supersede("a")
    assert await other.task == await newer.task == "answered"
    assert other.superseded


async def test_everything_is_ended_at_once() -> None:
    pending = Pending()
    works = [Work(pending, document) for document in "ab"]
    for work in works:
        await work.began.wait()
    pending.supersede_all()
    assert [await work.task for work in works] == ["answered", "answered"]


async def test_a_cancellation_by_the_client_passes_through() -> None:
    pending = Pending()
    work = Work(pending, "a")
    await work.began.wait()
    work.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work.task
    assert not work.superseded


async def test_cancelled_and_superseded_at_once_is_cancelled() -> None:
    pending = Pending()
    work = Work(pending, "a")
    await work.began.wait()
    work.task.cancel()
    pending.supersede("a")
    with pytest.raises(asyncio.CancelledError):
        await work.task


async def test_a_request_that_has_ended_is_not_superseded() -> None:
    pending = Pending()
    with pending.turn("a", "inline") as turn:
        pass
    pending.supersede("a")
    assert not turn.superseded
    await asyncio.sleep(0)
