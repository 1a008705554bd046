"""Generations in the engine thread: in turn, behind editors, ended when nobody wants them."""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import torch

from tests.bpe import trained
from tests.engine.tiny import load_tiny, save_family
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.generation import Generation
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.settings import PromptSettings, load_settings
from umbrella_daemon.wire import (
    Complete,
    Completed,
    Fault,
    Finish,
    Generate,
    Generated,
    Message,
    Reason,
    Snippet,
    Token,
)
from umbrella_engine.config import DraftConfig
from umbrella_engine.draft.drawn import drawing
from umbrella_engine.draft.presets import make
from umbrella_engine.drafting import make_parts
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.healing import Healing
from umbrella_engine.interface import Engine, EngineInfo
from umbrella_engine.scripted import ScriptedEngine
from umbrella_engine.shape import defaults

SECONDS = 20.0
SETTINGS = PromptSettings()
LANES = 4
NO_TEXT = "".join(map(chr, range(0xFDD0, 0xFDF0)))


def _load() -> None:
    """Get the engine's thread ready: the number of torch's threads is each thread's own."""
    torch.set_num_threads(1)


class Line:
    """A scheduler over an engine, with what its clients got."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.answers: Queue[Completed] = Queue()
        self.turns: list[int] = []  # ids of generations in the order of their steps
        self._completer = Completer(engine, load_settings(environ={}))
        self.gate = threading.Semaphore(0)
        self.gated = False
        self.scheduler = Scheduler(_load, self._work, self._advance)
        self.scheduler.share(engine.info.lanes)

    def generate(self, request: Generate, client: int = 1) -> "Queue[Generated]":
        """Ask for a generation; gives where its pieces go."""
        pieces: Queue[Generated] = Queue()
        self.scheduler.generate(Generation(client, request, SETTINGS, pieces.put))
        return pieces

    def complete(self, number: int, prefix: str, **fields: Any) -> None:
        """Ask as an editor does."""
        request = Complete(number, f"{number}", 1, "", "", prefix, "", **fields)
        self.scheduler.submit(Job(2, request, self.answers.put))

    def _work(self, job: Job) -> Completed:
        return self._completer.complete(job)

    def _advance(self, generation: Generation, give_way: Callable[[], bool]) -> bool:
        if self.gated:
            assert self.gate.acquire(timeout=SECONDS)
        self.turns.append(generation.request.id)
        return self._completer.advance(generation, give_way)


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line(ScriptedEngine(lambda text: f"answer to {text[-20:]}"))
    line.gated = True
    line.scheduler.start()
    yield line
    line.scheduler.close()
    line.gate.release(1000)
    assert line.scheduler.join(SECONDS)


def whole(pieces: "Queue[Generated]") -> tuple[str, Generated]:
    """Wait for the end; give the text and the last piece."""
    text = ""
    while True:
        piece = pieces.get(timeout=SECONDS)
        text += piece.text
        if piece.done:
            return text, piece


def test_a_generation_comes_in_pieces_with_what_it_cost(line: Line) -> None:
    pieces = line.generate(Generate(7, "abc"))
    line.gate.release(100)
    first = pieces.get(timeout=SECONDS)
    assert (first.id, first.text, first.done) == (7, "answ", False)
    text, last = whole(pieces)
    assert first.text + text == "answer to abc"
    assert (last.finish, last.usage.completion_tokens) == (Finish.STOP, 13)
    assert last.usage.prompt_tokens == 3
    assert 0 < last.usage.first_ms <= last.usage.ms
    assert last.usage.steps == 4


def test_several_generations_take_turns(line: Line) -> None:
    one, two = line.generate(Generate(1, "one")), line.generate(Generate(2, "two"))
    line.gate.release(100)
    assert [whole(one)[0], whole(two)[0]] == ["answer to one", "answer to two"]
    assert line.turns[:8] == [1, 2, 1, 2, 1, 2, 1, 2] or line.turns[:9] == [
        1,
        1,
        2,
        1,
        2,
        1,
        2,
        1,
        2,
    ]


def test_one_lane_is_left_to_editors_and_who_finds_none_waits(line: Line) -> None:
    lanes = line.engine.info.lanes
    queues = [line.generate(Generate(number, "x")) for number in range(lanes + 1)]
    line.gate.release(1000)
    for pieces in queues:
        assert whole(pieces)[0] == "answer to x"
    first_ended = min(line.turns.index(number) for number in (lanes - 1, lanes))
    assert {lanes - 1, lanes}.isdisjoint(line.turns[: 2 * (lanes - 1)])
    assert set(line.turns[:first_ended]) == set(range(lanes - 1))


def test_an_editor_goes_between_two_steps(line: Line) -> None:
    pieces = line.generate(Generate(1, "chat"))
    line.gate.release()
    assert pieces.get(timeout=SECONDS).text == "answ"
    line.complete(5, "x = ")
    line.gate.release()  # for the step that may wait already
    assert line.answers.get(timeout=SECONDS).id == 5
    assert len(line.turns) <= 2
    line.gate.release(100)
    assert whole(pieces)[0] == "er to chat"


@pytest.mark.parametrize("begun", [False, True])
def test_a_generation_that_is_taken_back_ends(line: Line, begun: bool) -> None:
    other = line.generate(Generate(1, "x"))
    pieces = line.generate(Generate(2, "long"), client=3)
    line.gate.release(4 if begun else 1)
    if begun:
        assert pieces.get(timeout=SECONDS).text == "answ"
    line.scheduler.leave(3)
    line.gate.release(100)
    assert whole(pieces)[1].finish == Finish.CANCELLED
    assert whole(other)[1].finish == Finish.STOP
    assert line.turns.count(2) <= 4


def test_the_end_of_the_daemon_ends_generations() -> None:
    line = Line(ScriptedEngine(lambda _: "x" * 100_000))
    line.scheduler.start()
    pieces = line.generate(Generate(1, "a"))
    assert not pieces.get(timeout=SECONDS).done
    line.scheduler.close()
    assert line.scheduler.join(SECONDS)
    assert whole(pieces)[1].finish == Finish.CANCELLED
    assert whole(line.generate(Generate(2, "b")))[1].finish == Finish.CANCELLED


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Generate(1, "a", temperature=-1), "temperature"),
        (Generate(1, "a", top_p=0), "top_p"),
        (Generate(1, ids=(99999,)), "no token"),
        (Generate(1, "a" * 2**21), "shorten it"),
        (Generate(1, messages=(Message("user", NO_TEXT),)), "no text"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_reason(line: Line, request_: Generate, said: str) -> None:
    line.gate.release()
    text, last = whole(line.generate(request_))
    assert (text, last.finish, last.error) == ("", Finish.ERROR, Fault.REQUEST)
    assert said in last.detail


def test_an_engine_that_fails_is_told_and_the_next_request_is_served(line: Line) -> None:
    def fail(_: str) -> str:
        raise KeyboardInterrupt("not an Exception")

    assert isinstance(line.engine, ScriptedEngine)
    answer, line.engine.answer = line.engine.answer, fail
    line.gate.release(100)
    last = whole(line.generate(Generate(1, "a")))[1]
    assert (last.finish, last.error) == (Finish.ERROR, Fault.INTERNAL)
    line.engine.answer = answer
    assert whole(line.generate(Generate(2, "a")))[0] == "answer to a"


def test_limits_and_stop_texts_end_it(line: Line) -> None:
    line.gate.release(100)
    text, last = whole(line.generate(Generate(1, "abc", max_tokens=6)))
    assert (text, last.finish) == ("answer", Finish.LENGTH)
    text, last = whole(line.generate(Generate(2, "abc", stop=(" to",))))
    assert (text, last.finish, last.stopped_by) == ("answer", Finish.STOP, " to")
    tokens: list[Token] = []
    pieces = line.generate(Generate(3, "abc", max_tokens=3, logprobs=True))
    while not (piece := pieces.get(timeout=SECONDS)).done:
        tokens += piece.tokens
    assert b"".join(one.bytes for one in [*tokens, *piece.tokens]) == b"ans"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SpeculativeEngine:
    """A random model with a draft of its own, a real vocabulary, small chunks."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = trained("fim")
    save_family("qwen2", folder, vocab_size=tokenizer.vocab_size)
    healing = Healing(tokenizer)
    target, draft = (load_tiny(folder, lanes=LANES, chunk_tokens=8) for _ in range(2))
    parts = make_parts(
        DraftConfig(), draft, healing, tokenizer, tuning=None, assumed=defaults.costs("cpu", 0.2)
    )
    return SpeculativeEngine(
        info=EngineInfo("tiny", "target", "draft", "cpu", "float32", 448, LANES),
        tokenizer=tokenizer,
        target=target,
        drafter=make("merged", parts),
        healing=healing,
        drawing=drawing(parts),
        references=parts.references,
    )


TEXT = Path(__file__).read_text()
REQUESTS = [
    Generate(1, TEXT[:400], max_tokens=20),
    Generate(2, messages=(Message("user", TEXT[700:1100]),), max_tokens=20),
    Generate(3, TEXT[1400:1700], max_tokens=16, temperature=0.9, top_p=0.95, seed=4),
    Generate(4, TEXT[2000:2200], suffix=TEXT[2200:2300], max_tokens=16,
             snippets=(Snippet("a.py", TEXT[:100]),)),
]  # fmt: skip


def test_what_is_written_is_the_same_whoever_interrupts(tiny: SpeculativeEngine) -> None:
    alone = Line(tiny)
    alone.scheduler.start()
    expected = {one.id: whole(alone.generate(one))[0] for one in REQUESTS}
    alone.scheduler.close()
    assert alone.scheduler.join(SECONDS)
    assert all(len(text) > 10 for text in expected.values())

    rng = random.Random(3)
    line = Line(tiny)
    line.gated = True
    line.scheduler.start()
    queues = {one.id: line.generate(one) for one in REQUESTS}
    asked = 0
    while not all(pieces.queue and pieces.queue[-1].done for pieces in queues.values()):
        asked += 1
        start = rng.randrange(len(TEXT) - 300)
        line.complete(asked, TEXT[start : start + 60], max_tokens=2)
        line.gate.release(rng.randrange(1, 6))
        assert line.answers.get(timeout=SECONDS).reason != Reason.ERROR
    line.scheduler.close()
    line.gate.release(1000)
    assert line.scheduler.join(SECONDS)
    assert {number: whole(pieces)[0] for number, pieces in queues.items()} == expected
    assert asked > 10
    changes = sum(a != b for a, b in zip(line.turns, line.turns[1:], strict=False))
    assert changes > 10  # they took turns


def test_a_prompt_that_is_being_read_gives_way_and_loses_nothing(tiny: SpeculativeEngine) -> None:
    generation = Generation(1, Generate(1, TEXT[3000:4000], max_tokens=8), SETTINGS, print)
    turns = 1
    assert generation.advance(tiny, lambda: True)
    read = [len(lane.tokens) for lane in tiny.target.lanes.lanes if not lane.in_use]
    assert 8 in read  # one chunk
    pieces: Queue[Generated] = Queue()
    generation._reply = pieces.put
    while generation.advance(tiny, lambda: True):
        turns += 1
    last = whole(pieces)[1]
    assert (last.finish, last.usage.completion_tokens) == (Finish.LENGTH, 8)
    assert last.usage.cached_tokens == 0  # it had read itself what the lane held
    assert turns < 60
