"""The daemon answers what it knows at once, and gets ready for what comes next."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.daemon.chain import Chain, Person
from tests.daemon.chain import ask as ask_engine
from tests.daemon.test_service import served
from tests.daemons import SECONDS, Home, RawClient, complete
from umbrella_daemon import wire
from umbrella_daemon.resident.answers import Answers
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.memory import Memory
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.settings import load_settings
from umbrella_daemon.wire import Completed, Reason

ANSWERS = [
    {"ends_with": "def ad", "text": "d(a, b): return a + b\n"},
    {"ends_with": "def add(a, b): return a + b\n", "text": "y = 2\n\n"},
    {"ends_with": "x = ", "text": "y" * 30 + "\n"},
    {"ends_with": "x = " + "y" * 10, "text": "z" * 30 + "\n"},
]
SHOWN = "d(a, b): return a + b"


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    home = Home(tmp_path, monkeypatch)
    home.script(answers=ANSWERS, default="")
    yield home
    await home.clear_up()


async def ask(client: RawClient, number: int, prefix: str) -> Completed:
    client.send(complete(number, prefix))
    return await client.receive(Completed)


async def prepared(client: RawClient, prefix: str) -> Completed:
    """Ask until the answer was there before; asking stops what is being prepared."""
    for number in range(1000, 1100):
        await asyncio.sleep(0.05)  # idle time, in which it is prepared
        answer = await ask(client, number, prefix)
        if answer.trace.source != "engine":
            return answer
    raise AssertionError("it was never prepared")


async def test_typing_what_is_shown_needs_no_engine(home: Home) -> None:
    home.set("SUGGESTIONS__PREFETCH", "false")
    async with served(home):
        client = await home.ready()
        first = await ask(client, 1, "def ad")
        assert (first.text, first.trace.source) == (SHOWN, "engine")
        for number, typed in enumerate(("d", "d(a", "d(a, b)", "d(", ""), start=2):
            answer = await ask(client, number, "def ad" + typed)
            assert (answer.id, answer.text) == (number, SHOWN.removeprefix(typed))
            assert (answer.trace.source, answer.trace.target_steps) == ("store", 0)
            assert answer.trace.ms["total"] < 50
        other = await ask(client, 9, "def adq")
        assert other.trace.source == "engine"


async def test_the_state_after_accepting_is_prepared(home: Home) -> None:
    home.set("COMPLETION__MAX_TOKENS", 10)
    async with served(home):
        client = await home.ready()
        assert (await ask(client, 1, "x = ")).text == "y" * 10
        answer = await prepared(client, "x = " + "y" * 10)
        assert (answer.text, answer.trace.source) == ("z" * 10, "prefetch")
        assert answer.trace.target_steps == 0


async def test_enter_at_the_end_is_prepared(home: Home) -> None:
    async with served(home):
        client = await home.ready()
        assert (await ask(client, 1, "def ad")).text == SHOWN
        answer = await prepared(client, f"def ad{SHOWN}\n")
        assert (answer.text, answer.trace.source) == ("y = 2", "prefetch")


async def test_preparing_can_be_switched_off(home: Home) -> None:
    home.set("SUGGESTIONS__PREFETCH", "false")
    home.set("SUGGESTIONS__WARM_UP", "false")
    async with served(home):
        client = await home.ready()
        await ask(client, 1, "def ad")
        client.send(wire.Warm(complete(5, "x = ")))
        await asyncio.sleep(0.2)
        for prefix in (f"def ad{SHOWN}\n", "x = "):
            assert (await ask(client, 2, prefix)).trace.source == "engine"


async def test_a_request_waits_for_one_step_of_what_is_prepared_at_most(home: Home) -> None:
    home.script(answers=ANSWERS, default="q" * 60, step_ms=150, tokens_per_step=1)
    async with served(home):
        client = await home.ready()
        client.send(wire.Warm(complete(1, "x = ")))  # 35 steps, more than five seconds
        await asyncio.sleep(0.4)
        client.send(complete(2, "z = ", document="b", max_tokens=1))
        answer = await client.receive(Completed)
        assert (answer.id, answer.text) == (2, "q")
        assert answer.trace.ms["queue"] < 300


async def test_warming_up_prepares_the_answer_itself(home: Home) -> None:
    async with served(home):
        client = await home.ready()
        client.send(wire.Warm(complete(1, "x = ")))
        answer = await prepared(client, "x = ")
        assert (answer.text, answer.trace.source) == ("y" * 30, "prefetch")


async def test_warming_up_while_loading_is_no_error(home: Home) -> None:
    home.script(default="fine", load_ms=300)
    async with served(home):
        client = await home.visit()
        client.send(wire.Warm(complete(1, "x = ")))
        await client.phase("ready")
        assert (await ask(client, 1, "x = ")).text == "fine"


async def test_an_answer_of_the_store_supersedes_older_requests(home: Home) -> None:
    home.set("SUGGESTIONS__PREFETCH", "false")
    home.script(answers=ANSWERS, default="q" * 60, step_ms=100, tokens_per_step=4)
    async with served(home):
        client = await home.ready()
        await ask(client, 1, "x = ")
        client.send(
            complete(2, "z = "),
            complete(3, "x = y"),
        )
        first, second = await client.receive(Completed), await client.receive(Completed)
        # at once, without waiting for the older one to stop
        assert (first.id, first.text, first.trace.source) == (3, "y" * 29, "store")
        assert (second.id, second.reason) == (2, Reason.SUPERSEDED)


async def test_windows_know_nothing_of_each_other(home: Home) -> None:
    home.set("SUGGESTIONS__PREFETCH", "false")
    async with served(home):
        one, other = await home.ready(), await home.ready()
        await ask(one, 1, "x = ")
        assert (await ask(other, 1, "x = y")).trace.source == "engine"
        assert (await ask(one, 2, "x = y")).trace.source == "store"


async def edit_at_random(seed: int, sources: Counter[str]) -> None:
    """Edit faster than the engine writes; whatever is shown must be what it would have written."""
    rng, loop = random.Random(seed), asyncio.get_running_loop()
    engine = Chain()
    engine.step_ms, engine.tokens_per_step = 0.2, 3
    settings = load_settings(environ={})
    completer, reference = Completer(engine, settings), Completer(Chain(), settings)
    scheduler = Scheduler(lambda: None, completer.complete, completer.advance)
    answers = Answers(settings, scheduler, loop.call_soon_threadsafe)
    scheduler.start()
    person = Person(
        rng, before=rng.choice(("x = ", "def f(a):\n    ")), after=rng.choice(("", ")"))
    )
    asked: list[tuple[wire.Complete, asyncio.Future[Completed]]] = []
    for number in range(40):
        person.edit()
        request = complete(number, person.before, suffix=person.after, max_lines=3)
        answer: asyncio.Future[Completed] = loop.create_future()
        answers.complete(1, request, answer.set_result)
        asked.append((request, answer))
        if rng.random() < 0.3:
            scheduler.cancel(1, number)
        await asyncio.sleep(rng.choice((0, 0, 0.001, 0.01)))
        if answer.done() and answer.result().text:
            person.shown = answer.result()
    async with asyncio.timeout(SECONDS):
        done = [(request, await answer) for request, answer in asked]
    scheduler.close()
    assert scheduler.join(SECONDS)
    for request, own in done:
        sources[own.reason or own.trace.source] += 1
        if own.reason not in (Reason.SUPERSEDED, Reason.CANCELLED):
            _, right = ask_engine(reference, request)
            assert (own.text, own.reason) == (right.text, right.reason), (seed, request)


async def test_under_any_edits_and_timing_only_what_the_engine_would_say_is_shown() -> None:
    sources = Counter[str]()
    for seed in range(40):
        await edit_at_random(seed, sources)
    assert min(sources["store"], sources["prefetch"], sources["engine"]) > 20, sources


async def test_files_kept_out_get_no_answer_and_are_not_prepared(
    home: Home, tmp_path: Path
) -> None:
    (tmp_path / ".umbrellaignore").write_text("private.py\n")
    async with served(home):
        client = await home.ready()
        for name, reason in (("private.py", Reason.IGNORED), (".env", Reason.EXCLUDED)):
            request = complete(1, "x = ", path=str(tmp_path / name))
            client.send(wire.Warm(request), request)
            answer = await client.receive(Completed)
            assert (answer.text, answer.reason) == ("", reason)
            assert name in answer.detail
            assert answer.trace.prompt_tokens == 0


async def test_the_engine_is_not_told_of_files_kept_out(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(Memory, "note", lambda _, document, text: told.append(document))
    monkeypatch.setattr(Memory, "watch", lambda _, request: told.append(request.document))
    async with served(home):
        client = await home.ready()
        for number, name in enumerate((".env", "open.py")):
            path = str(tmp_path / name)
            client.send(wire.Opened(name, "python", path, "x = 1\n"))
            client.send(complete(number, "x = ", document=name, path=path))
            await client.receive(Completed)
    assert told == ["open.py", "open.py"]


async def test_a_request_for_several_that_was_stopped_is_no_answer_to_the_next(home: Home) -> None:
    home.set("SUGGESTIONS__PREFETCH", "false")
    others = [{"ends_with": "x = ", "text": "a\n", "others": ["b\n", "c\n", "d\n"]}]
    home.script(answers=others, step_ms=150, tokens_per_step=4)
    async with served(home):
        client = await home.ready()
        client.send(complete(1, "x = ", explicit=True, candidates=4))
        await asyncio.sleep(0.5)  # the first answer is written by then, the last is not
        client.send(wire.Cancel(1))
        assert (await client.receive(Completed)).reason == Reason.CANCELLED
        client.send(complete(2, "x = ", explicit=True, candidates=2))
        answer = await client.receive(Completed)
        assert (answer.text, len(answer.alternatives)) == ("a", 1)


async def test_an_answer_that_is_to_be_explained_is_written_anew(home: Home) -> None:
    async with served(home):
        client = await home.ready()
        await ask(client, 1, "def ad")
        client.send(complete(2, "def ad", explain=True))
        answer = await client.receive(Completed)
        assert (answer.text, answer.trace.source) == (SHOWN, "engine")
        assert "".join(one.bonus for one in answer.steps) != ""
        assert (await ask(client, 3, "def ad")).steps == ()
