import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import Queue

import pytest

from umbrella_daemon.resident.generation import Generation
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.wire import Complete, Completed, Reason
from umbrella_engine.errors import Cancelled
from umbrella_engine.scripted import ScriptedEngine
from umbrella_engine.stats import Stats

SECONDS = 5.0
ENGINE = ScriptedEngine(lambda _: "a long answer")


def advance(generation: Generation, give_way: Callable[[], bool]) -> bool:
    """Let a generation take its step with an engine that has one answer."""
    return generation.advance(ENGINE, give_way)


class Bench:
    """A scheduler whose work waits until the test lets it go on."""

    def __init__(self) -> None:
        self.answers: Queue[Completed] = Queue()
        self.begun: Queue[int] = Queue()  # ids of requests, as they are taken up
        self.kept: Queue[Completed] = Queue()
        self.asked_again: Queue[int] = Queue()
        self.go_on = threading.Semaphore(0)
        self.loads = 0
        self.loaded = threading.Event()
        self.scheduler = Scheduler(self._load, self._work, advance)

    def submit(
        self, number: int, document: str = "a", client: int = 1, explicit: bool = False
    ) -> Job:
        request = Complete(
            number, document, 1, "python", f"/x/{document}", f"{number}.", "", explicit
        )
        job = Job(client, request, self.answers.put)
        self.scheduler.submit(job)
        return job

    def prepare(self, *numbers: int, client: int = 1) -> list[Job]:
        """Name what to do while nothing is asked; the text before the cursor is the number."""
        jobs = []
        for number in numbers:
            request = Complete(number, "a", 0, "python", "/x/a", f"{number}", "")
            job = Job(client, request, self._refuse, keep=self.answers.put, idle=True)
            jobs.append(job)
        self.scheduler.prepare(jobs)
        return jobs

    def ask_for(self, number: int, prefix: str) -> Job:
        """Ask at the end of `prefix`."""
        request = Complete(number, "a", 5, "python", "/x/a", prefix, "")
        again = partial(self.asked_again.put, number)
        job = Job(1, request, self.answers.put, keep=self.kept.put, again=again)
        self.scheduler.submit(job)
        return job

    def answer(self) -> Completed:
        return self.answers.get(timeout=SECONDS)

    def taken_up(self) -> int:
        return self.begun.get(timeout=SECONDS)

    def _refuse(self, completed: Completed) -> None:
        raise AssertionError("nobody asked for it")

    def _load(self) -> None:
        self.loads += 1
        self.loaded.set()

    def _work(self, job: Job) -> Completed:
        self.begun.put(job.request.id)
        if not self.go_on.acquire(timeout=SECONDS):
            raise TimeoutError("the test did not let the work go on")
        if job.request.document == "panic":
            raise KeyboardInterrupt("not an Exception")
        if job.request.document == "bug":
            raise ValueError("a bug in the engine")
        if job.cancelled():
            return job.silence(job.stopped)
        return job.shown(f"text {job.request.id}", 0, Stats())


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.scheduler.start()
    yield bench
    bench.scheduler.close()
    for _ in range(100):
        bench.go_on.release()
    assert bench.scheduler.join(SECONDS)
    assert bench.answers.empty(), "a request was answered that the test did not expect"


def outcome(completed: Completed) -> tuple[int, str]:
    return completed.id, completed.reason or completed.text


def test_requests_are_served_one_after_the_other(bench: Bench) -> None:
    for number in (1, 2, 3):
        bench.submit(number, document=f"{number}.py")
    for number in (1, 2, 3):
        assert bench.taken_up() == number
        assert bench.begun.empty()
        bench.go_on.release()
        assert outcome(bench.answer()) == (number, f"text {number}")


def test_a_newer_request_of_the_document_supersedes_the_running_and_the_queued(
    bench: Bench,
) -> None:
    bench.submit(1)
    assert bench.taken_up() == 1
    bench.submit(2)
    bench.submit(3)
    assert outcome(bench.answer()) == (2, Reason.SUPERSEDED)  # never begun
    bench.go_on.release()
    assert outcome(bench.answer()) == (1, Reason.SUPERSEDED)
    assert bench.taken_up() == 3
    bench.go_on.release()
    assert outcome(bench.answer()) == (3, "text 3")


def test_other_documents_and_other_clients_are_left_alone(bench: Bench) -> None:
    first = bench.submit(1)
    assert bench.taken_up() == 1
    bench.submit(1, client=2)
    bench.submit(2, document="b")
    assert not first.cancelled()
    for _ in range(3):
        bench.go_on.release()
    assert [outcome(bench.answer()) for _ in range(3)] == [
        (1, "text 1"),
        (1, "text 1"),
        (2, "text 2"),
    ]


def test_documents_are_served_in_turn_and_explicit_requests_first(bench: Bench) -> None:
    bench.submit(1, document="busy")
    assert bench.taken_up() == 1
    bench.submit(2, document="a")
    bench.submit(3, document="b")
    bench.submit(4, document="c", explicit=True)
    bench.submit(5, document="a")  # takes the place of 2
    assert outcome(bench.answer()) == (2, Reason.SUPERSEDED)
    for _ in range(4):
        bench.go_on.release()
    assert [bench.taken_up() for _ in range(3)] == [4, 5, 3]
    assert {bench.answer().id for _ in range(4)} == {1, 3, 4, 5}


def test_cancel_stops_the_running_and_the_queued(bench: Bench) -> None:
    running = bench.submit(1)
    assert bench.taken_up() == 1
    bench.submit(2, document="b")
    bench.scheduler.cancel(1, 2)
    assert outcome(bench.answer()) == (2, Reason.CANCELLED)
    bench.scheduler.cancel(2, 1)  # another client's request 1
    assert not running.cancelled()
    bench.submit(3, document="b")
    bench.scheduler.cancel(1, 1)
    assert running.cancelled()
    bench.scheduler.cancel(1, 1)
    bench.go_on.release()
    assert outcome(bench.answer()) == (1, Reason.CANCELLED)
    assert bench.taken_up() == 3
    bench.go_on.release()
    assert outcome(bench.answer()) == (3, "text 3")


def test_the_first_reason_to_stop_is_the_one_that_is_told(bench: Bench) -> None:
    bench.submit(1)
    assert bench.taken_up() == 1
    bench.scheduler.cancel(1, 1)
    bench.submit(2)
    bench.go_on.release()
    assert outcome(bench.answer()) == (1, Reason.CANCELLED)
    bench.go_on.release()
    assert outcome(bench.answer()) == (2, "text 2")


def test_a_client_that_leaves_takes_its_requests_along(bench: Bench) -> None:
    bench.submit(1, document="a")
    assert bench.taken_up() == 1
    bench.submit(2, document="b")
    bench.submit(3, document="b", client=2)
    bench.scheduler.leave(1)
    assert outcome(bench.answer()) == (2, Reason.CANCELLED)
    bench.go_on.release()
    assert outcome(bench.answer()) == (1, Reason.CANCELLED)
    bench.go_on.release()
    assert outcome(bench.answer()) == (3, "text 3")


@pytest.mark.parametrize("document", ["bug", "panic"])
def test_an_engine_that_fails_answers_and_lives_on(
    bench: Bench, document: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.submit(1, document=document)
    bench.go_on.release()
    failed = bench.answer()
    assert failed.reason == Reason.ERROR
    assert "The engine failed" in failed.detail
    assert "Traceback" in caplog.text
    bench.submit(2)
    bench.go_on.release()
    assert outcome(bench.answer()) == (2, "text 2")


def test_loading_comes_first_and_again_when_asked_for(bench: Bench) -> None:
    assert bench.loaded.wait(SECONDS)
    assert bench.loads == 1
    bench.loaded.clear()
    bench.scheduler.reload()
    assert bench.loaded.wait(SECONDS)
    bench.submit(1)
    bench.go_on.release()
    assert outcome(bench.answer()) == (1, "text 1")
    assert bench.loads == 2


def test_closing_answers_everything_and_what_comes_after(bench: Bench) -> None:
    bench.submit(1, document="a")
    assert bench.taken_up() == 1
    bench.submit(2, document="b")
    bench.scheduler.close()
    bench.submit(3, document="c")
    bench.go_on.release()
    assert sorted(outcome(bench.answer()) for _ in range(3)) == [
        (1, Reason.CANCELLED),
        (2, Reason.CANCELLED),
        (3, Reason.CANCELLED),
    ]
    assert bench.scheduler.join(SECONDS)


def test_every_request_of_a_storm_is_answered_exactly_once() -> None:
    answers: Queue[Completed] = Queue()

    def work(job: Job) -> Completed:
        for _ in range(3):
            if job.cancelled():
                raise Cancelled("stopped")
        return job.shown("text", 0, Stats())

    scheduler = Scheduler(lambda: None, work, advance)
    scheduler.start()

    def type_away(client: int) -> None:
        for number in range(300):
            request = Complete(client * 1000 + number, f"{number % 3}", 1, "", "", "", "")
            job = Job(client, request, answers.put)
            job.again = partial(scheduler.submit, job)  # as `Answers` does, past its store
            scheduler.submit(job)
            if number % 5 == 0:
                scheduler.cancel(client, client * 1000 + number - 2)

    run_together([lambda client=client: type_away(client) for client in range(4)])  # type: ignore[misc]
    scheduler.close()
    assert scheduler.join(SECONDS)
    ids = [answers.get_nowait().id for _ in range(answers.qsize())]
    assert sorted(ids) == sorted(
        client * 1000 + number for client in range(4) for number in range(300)
    )


def run_together(functions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)


def test_what_is_likely_is_prepared_in_order_while_nothing_is_asked(bench: Bench) -> None:
    bench.submit(1)
    bench.prepare(11, 12)
    for number in (1, 11, 12):
        assert bench.taken_up() == number
        bench.go_on.release()
        assert outcome(bench.answer()) == (number, f"text {number}")


def test_a_request_stops_what_is_prepared_and_what_was_to_be(bench: Bench) -> None:
    preparing, _ = bench.prepare(11, 12)
    assert bench.taken_up() == 11
    bench.submit(1, document="b", client=2)
    assert preparing.cancelled()
    bench.go_on.release()
    assert outcome(bench.answer()) == (11, Reason.SUPERSEDED)
    assert bench.taken_up() == 1
    bench.go_on.release()
    assert outcome(bench.answer()) == (1, "text 1")
    assert bench.begun.empty()


def test_a_request_that_preparing_leads_to_waits_and_is_asked_again(bench: Bench) -> None:
    for number, prefix in ((11, "11"), (12, "12typed")):
        (preparing,) = bench.prepare(number)
        assert bench.taken_up() == number
        preparing.progress = "typed and more"
        bench.ask_for(1, prefix)
        assert not preparing.cancelled()
        bench.go_on.release()
        assert outcome(bench.answer()) == (number, f"text {number}")
        assert bench.asked_again.get(timeout=SECONDS) == 1
        assert bench.begun.empty()


def test_a_request_that_waited_for_it_can_be_superseded(bench: Bench) -> None:
    (preparing,) = bench.prepare(11)
    assert bench.taken_up() == 11
    bench.ask_for(1, "11")
    bench.ask_for(2, "12")
    assert outcome(bench.answer()) == (1, Reason.SUPERSEDED)
    assert preparing.cancelled()
    bench.go_on.release()
    assert outcome(bench.answer()) == (11, Reason.SUPERSEDED)
    assert bench.taken_up() == 2
    bench.go_on.release()
    assert outcome(bench.answer()) == (2, "text 2")


def test_what_is_written_goes_on_while_typing_agrees_with_it(bench: Bench) -> None:
    first = bench.ask_for(1, "x = ")
    assert bench.taken_up() == 1
    bench.ask_for(2, "x = a")  # nothing is written yet
    assert outcome(bench.answer()) == (1, Reason.SUPERSEDED)
    assert not first.cancelled()
    first.progress = "ab"
    bench.ask_for(3, "x = ab")
    assert outcome(bench.answer()) == (2, Reason.SUPERSEDED)
    assert not first.cancelled()
    bench.go_on.release()
    assert outcome(bench.kept.get(timeout=SECONDS)) == (1, "text 1")
    assert bench.asked_again.get(timeout=SECONDS) == 3
    assert bench.begun.empty()


def test_it_stops_once_it_writes_something_else(bench: Bench) -> None:
    first = bench.ask_for(1, "x = ")
    assert bench.taken_up() == 1
    bench.ask_for(2, "x = a")
    bench.answer()
    first.progress = "b"
    assert first.cancelled()
    bench.go_on.release()
    assert bench.kept.get(timeout=SECONDS).text == ""
    assert bench.asked_again.get(timeout=SECONDS) == 2


def test_what_disagrees_already_or_wants_more_answers_is_superseded_as_ever(bench: Bench) -> None:
    first = bench.ask_for(1, "x = ")
    assert bench.taken_up() == 1
    first.progress = "b"
    bench.ask_for(2, "x = a")
    assert first.stopped == Reason.SUPERSEDED
    bench.go_on.release()
    assert outcome(bench.answer()) == (1, Reason.SUPERSEDED)
    assert bench.taken_up() == 2
    bench.go_on.release()
    assert outcome(bench.answer()) == (2, "text 2")


def test_what_is_taken_back_goes_on_for_a_moment_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umbrella_daemon.resident.scheduler.LINGER_SECONDS", 0.0)
    job = bench.ask_for(1, "x = ")
    assert bench.taken_up() == 1
    bench.scheduler.cancel(1, 1)
    assert outcome(bench.answer()) == (1, Reason.CANCELLED)
    assert job.cancelled()
    bench.ask_for(2, "x = a")  # in time
    assert not job.cancelled()
    bench.scheduler.cancel(1, 2)
    assert outcome(bench.answer()) == (2, Reason.CANCELLED)
    assert job.cancelled()
    bench.go_on.release()
    bench.kept.get(timeout=SECONDS)
    assert bench.begun.empty()


def test_what_was_taken_back_gives_way_to_other_documents(bench: Bench) -> None:
    job = bench.ask_for(1, "x = ")
    assert bench.taken_up() == 1
    bench.scheduler.cancel(1, 1)
    bench.answer()
    assert not job.cancelled()
    bench.submit(2, document="b")
    assert job.cancelled()
    bench.go_on.release()
    assert bench.taken_up() == 2
    bench.go_on.release()
    assert outcome(bench.answer()) == (2, "text 2")


def test_a_newer_plan_replaces_the_older_but_what_both_name_goes_on(bench: Bench) -> None:
    first, _ = bench.prepare(11, 12)
    assert bench.taken_up() == 11
    bench.prepare(13, 11)
    assert not first.cancelled()
    bench.go_on.release()
    assert outcome(bench.answer()) == (11, "text 11")
    assert bench.taken_up() == 13
    bench.prepare(14)
    bench.go_on.release()
    assert outcome(bench.answer()) == (13, Reason.SUPERSEDED)
    assert bench.taken_up() == 14
    bench.go_on.release()
    assert outcome(bench.answer()) == (14, "text 14")


def test_an_answer_without_the_engine_supersedes_and_stops_no_preparation(bench: Bench) -> None:
    bench.submit(1)
    assert bench.taken_up() == 1
    bench.submit(2)
    bench.scheduler.supersede((1, "a"))
    assert outcome(bench.answer()) == (2, Reason.SUPERSEDED)
    bench.go_on.release()
    assert outcome(bench.answer()) == (1, Reason.SUPERSEDED)
    (preparing,) = bench.prepare(11)
    assert bench.taken_up() == 11
    bench.scheduler.supersede((1, "a"))
    assert not preparing.cancelled()
    bench.go_on.release()
    assert outcome(bench.answer()) == (11, "text 11")


def test_what_a_client_would_need_is_not_prepared_once_it_is_gone(bench: Bench) -> None:
    bench.prepare(11, 12)
    assert bench.taken_up() == 11
    bench.scheduler.cancel(1, 11)  # no request has this number
    bench.scheduler.leave(1)
    bench.go_on.release()
    assert outcome(bench.answer()) == (11, Reason.CANCELLED)
    assert bench.begun.empty()
