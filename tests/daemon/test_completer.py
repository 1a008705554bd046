import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.daemons import complete
from umbrella_daemon.resident import writer
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.writer import MARGIN_TOKENS
from umbrella_daemon.settings import CompletionSettings, Settings
from umbrella_daemon.wire import Completed, Reason
from umbrella_engine.interface import GREEDY, EngineInfo, FimTokens, Limits, Sampling, Step
from umbrella_engine.scripted import FIM, ScriptedEngine, ScriptedTokenizer
from umbrella_engine.stats import Stats


class Watched(ScriptedEngine):
    """A scripted engine that tells what it was asked for and whether it was let go."""

    def generate(
        self,
        ids: Sequence[int],
        limits: Limits,
        cancelled: Callable[[], bool],
        *,
        owed: bytes = b"",
        stats: Stats | None = None,
        sampling: Sampling = GREEDY,
    ) -> Iterator[Step]:
        self.ids, self.limits, self.owed, self.closed = list(ids), limits, owed, False
        try:
            yield from ScriptedEngine.generate(self, ids, limits, cancelled, owed=owed, stats=stats)
        finally:
            self.closed = True


def watched(text: str, fim: FimTokens | None = None, context_tokens: int = 4096) -> Watched:
    info = EngineInfo("scripted", "scripted", "", "cpu", "bytes", context_tokens)
    return Watched(lambda _: text, tokenizer=ScriptedTokenizer(fim), info=info)


def run(engine: ScriptedEngine, prefix: str = "def ad", **fields: Any) -> Completed:
    return Completer(engine, Settings()).complete(job(prefix, **fields))


def job(prefix: str = "def ad", **fields: Any) -> Job:
    return Job(1, complete(1, prefix, **fields), lambda _: None)


def test_identifier_healing_and_the_answer_meet_at_the_cursor() -> None:
    engine = watched("d(a, b):")
    answer = run(engine)
    assert answer.text == "d(a, b):"
    assert bytes(engine.ids) + engine.owed == b"def ad"
    assert engine.owed.endswith(b"ad")


def test_with_a_suffix_the_prompt_is_fill_in_the_middle() -> None:
    engine = watched("d(a, b):", FIM)
    answer = run(engine, "import x\ndef ad", suffix="\n    return a + b\n")
    assert answer.text == "d(a, b):"
    assert FIM.middle in engine.ids
    assert answer.trace.layout == "anchored"
    before = engine.tokenizer.before_cursor(engine.ids) + engine.owed
    assert before == b"import x\ndef ad"


def test_generation_is_ended_as_soon_as_the_answer_is_whole() -> None:
    engine = watched("d(a, b)\nx = 1\n" * 20)
    answer = run(engine, suffix=" -> int:")
    assert answer.text == "d(a, b)"
    assert engine.closed
    assert answer.trace.generated_tokens < 20


@pytest.mark.parametrize(
    ("answer", "text", "replaced"),
    [
        ("\n  return 1;\n", "\n  return 1;\n", 0),
        ("\n  return 1;\n}\ng();\n", "\n  return 1;\n}", 1),
        (" return 1; ", " return 1; ", 0),
    ],
)
def test_a_block_between_brackets_that_the_editor_paired(
    answer: str, text: str, replaced: int
) -> None:
    engine = watched(answer, FIM)
    shown = run(engine, "function f() {", suffix="}\n", language="javascript")
    assert (shown.text, shown.replace_after) == (text, replaced)


def test_max_lines_of_the_request_go_before_the_setting() -> None:
    body = "".join(f"    x{number} = {number}\n" for number in range(12))
    prefix = "def f():\n"
    settings = Settings(completion=CompletionSettings(max_lines=3, max_tokens=500))
    completer = Completer(watched(body), settings)
    lines = [
        completer.complete(job(prefix, max_lines=limit)).text.count("\n") + 1 for limit in (None, 2)
    ]
    assert lines == [3, 2]


@pytest.mark.parametrize(("wanted", "given"), [(7, 7), (None, 64), (0, 64), (-3, 1), (9999, 2048)])
def test_max_tokens_are_kept_within_reason(wanted: int | None, given: int) -> None:
    engine = watched("x" * 5000)
    answer = run(engine, "\n", max_tokens=wanted)
    assert engine.limits.max_tokens == given + len(engine.owed)
    assert len(answer.text) <= given


def test_tokens_that_healing_repeats_are_not_counted() -> None:
    engine = watched("x" * 50)
    assert run(engine, "a_long_identifier", max_tokens=5).text == "xxxxx"


def test_a_long_document_is_cut_to_what_fits() -> None:
    engine = watched("d(a, b):", context_tokens=256)
    answer = run(engine, "x = 1\n" * 10_000 + "def ad", suffix="y" * 10_000)
    assert answer.text == "d(a, b):"
    assert len(engine.ids) <= 256 - 64 - MARGIN_TOKENS


def test_nothing_to_say_is_silence_with_its_cost() -> None:
    answer = run(watched(""))
    assert (answer.text, answer.reason) == ("", Reason.EMPTY)
    assert answer.detail
    assert answer.trace.reason == Reason.EMPTY
    assert answer.trace.prompt_tokens > 0


def test_a_document_without_any_text_is_answered() -> None:
    answer = run(watched("import os"), "")
    assert answer.reason in ("", Reason.EMPTY)


OTHERS = ["mire(a):", " mire(a):", "mit():", "just(a):\n    pass", "d ( a, b ) :", "vance():"]


@pytest.mark.parametrize("fim", [None, FIM])
@pytest.mark.parametrize(
    ("candidates", "texts"),
    [
        (1, ["d(a, b):"]),
        (0, ["d(a, b):"]),
        (2, ["d(a, b):", "mire(a):"]),
        # what begins with the same token or differs in white space alone is the same
        (3, ["d(a, b):", "mire(a):", "just(a):"]),
        (99, ["d(a, b):", "mire(a):", "just(a):", "vance():"]),
    ],
)
def test_several_candidates(candidates: int, texts: list[str], fim: FimTokens | None) -> None:
    engine = watched("d(a, b):", fim)
    engine.others = lambda _: OTHERS
    answer = run(engine, suffix=" # end", candidates=candidates, explicit=True)
    assert [answer.text, *(other.text for other in answer.alternatives)] == texts
    assert ("alternatives" in answer.trace.ms) == (candidates > 1)
    plain = run(watched("d(a, b):", fim), suffix=" # end").trace
    assert answer.trace.generated_tokens == plain.generated_tokens
    assert engine.closed


def test_each_candidate_replaces_what_it_writes_itself() -> None:
    engine = watched("d(a)")
    engine.others = lambda _: ["m)", "just("]
    answer = run(engine, suffix=")", candidates=3)
    assert [(other.text, other.replace_after) for other in answer.alternatives] == [
        ("m)", 1),
        ("just(", 0),
    ]


def test_who_has_an_answer_does_not_wait_long_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "OTHERS_SECONDS", 0.3)
    engine = watched("d(a, b):")
    engine.others = lambda _: ["mire(a):", "just" + "x" * 60, "vance():"]
    engine.step_ms = 50
    answer = run(engine, candidates=4)
    assert answer.text == "d(a, b):"
    assert [other.text for other in answer.alternatives] in ([], ["mire(a):"])  # never half a text
    assert engine.closed


def test_silence_has_no_other_candidates() -> None:
    engine = watched("")
    engine.others = lambda _: ["mire(a):"]
    answer = run(engine, candidates=3)
    assert (answer.reason, answer.alternatives) == (Reason.EMPTY, ())


def test_a_job_stopped_between_two_candidates_shows_none() -> None:
    engine, stopped = watched("d(a, b):"), job(candidates=3)

    def others(_: str) -> list[str]:
        stopped.stopped = Reason.CANCELLED
        return ["mire(a):"]

    engine.others = others
    answer = Completer(engine, Settings()).complete(stopped)
    assert (answer.text, answer.reason, answer.alternatives) == ("", Reason.CANCELLED, ())


def unsure(text: str, probability: float) -> Watched:
    """An engine that gives `text` the probability `probability`, the same for all its bytes."""
    engine = watched(text)
    engine.logprob = math.log(probability) / len(text)
    return engine


def test_what_the_model_is_not_sure_of_is_not_shown() -> None:
    engine = unsure("d(a, b):", 0.005)
    answer = run(engine)
    assert (answer.text, answer.reason) == ("", Reason.LOW_CONFIDENCE)
    assert "completion.min_confidence" in answer.detail
    assert answer.trace.confidence is not None
    assert 0.004 < answer.trace.confidence < 0.02
    assert engine.closed


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, False),
        ({"explicit": True}, True),
        ({"min_confidence": 0.0}, True),
        ({"min_confidence": 0.004}, True),
        ({"min_confidence": 0.006}, False),
        ({"min_confidence": 7.0}, False),
        ({"min_confidence": -1.0}, True),
    ],
)
def test_how_sure_is_sure_enough(fields: dict[str, Any], shown: bool) -> None:
    answer = run(unsure("d(a, b):", 0.005), **fields)
    assert answer.text == ("d(a, b):" if shown else "")


def test_doubt_ends_an_answer_after_its_last_sure_line() -> None:
    text = "\n    x = 1\n    y = 2\n    z = 3"
    engine = unsure(text, 0.01)
    job_ = job("def f():")
    answer = Completer(engine, Settings()).complete(job_)
    assert answer.text == "\n    x = 1\n    y = 2"
    assert job_.written[0].raw.startswith("\n    x = 1\n    y = 2\n    z")
    assert not job_.written[0].ended
    assert engine.closed


def test_hidden_answers_are_kept_with_their_probabilities() -> None:
    job_ = job(min_confidence=0.1)
    Completer(unsure("d(a, b):", 0.01), Settings()).complete(job_)
    (written,) = job_.written
    assert (written.doubted, written.ended, written.text) == (True, False, "")
    assert "".join(piece for piece, _ in written.pieces) == written.raw == "d(a, "
    assert math.exp(sum(logprob for _, logprob in written.pieces)) < 0.1


def test_when_its_time_is_up_an_answer_ends_with_whole_words() -> None:
    engine = watched("d(alpha, " + "abcdefghijklmnopqrstuvwxyz0123456789" * 9)
    engine.step_ms = 20
    settings = Settings(completion=CompletionSettings(max_ms=150, max_tokens=400))
    answer = Completer(engine, settings).complete(job(max_tokens=400))
    assert answer.text == "d(alpha,"
    assert engine.closed


def test_tokens_that_run_out_leave_whole_lines() -> None:
    engine = watched("\n    alpha = 1\n    beta = 2\n")
    assert run(engine, "def f():", max_tokens=20).text == "\n    alpha = 1"


@pytest.mark.parametrize("reason", [Reason.CANCELLED, Reason.SUPERSEDED])
def test_a_stopped_job_says_why_and_what_it_had_cost(reason: str) -> None:
    engine = watched("x" * 60)
    stopped = job(max_tokens=50)
    step = iter(range(100))

    def answer(_: str) -> str:
        stopped.stopped = reason if next(step) == 0 else ""
        return "x" * 60

    engine.answer = answer
    completed = Completer(engine, Settings()).complete(stopped)
    assert (completed.text, completed.reason) == ("", reason)
    assert completed.detail
    assert completed.trace.prefilled_tokens > 0
    assert completed.trace.target_steps == 0
    assert engine.closed


def test_what_the_engine_raises_is_left_to_the_scheduler() -> None:
    engine = watched("")

    def broken(_: str) -> str:
        raise ValueError("broken")

    engine.answer = broken
    with pytest.raises(ValueError, match="broken"):
        run(engine)
    assert engine.closed


def test_how_an_answer_was_written_is_told_where_that_is_asked() -> None:
    answer = run(watched("d(a, b):"), explain=True)
    assert answer.text == "d(a, b):"
    written = "".join(
        "".join(node.text for node in one.nodes if node.accepted) + one.bonus
        for one in answer.steps
    )
    assert written == " add(a, b):"  # the word at the cursor was taken back
    assert [node.parent for node in answer.steps[0].nodes] == [-1, 0, 1]
    assert run(watched("d(a, b):")).steps == ()
