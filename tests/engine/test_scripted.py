import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbrella_engine.errors import Cancelled, ContextOverflow, WeightsError
from umbrella_engine.interface import Engine, FimTokens, Limits, Progress, Step
from umbrella_engine.script import Answer, LoadPhase, Script, read_script
from umbrella_engine.scripted import END, FIM, ScriptedEngine, ScriptedTokenizer
from umbrella_engine.stats import Stats

STOP = Limits(max_tokens=64, stop_ids=frozenset({END}))


def never() -> bool:
    return False


def spell(steps: Iterator[Step]) -> bytes:
    return bytes(token for step in steps for token in step.tokens)


def engine(**answers: str) -> ScriptedEngine:
    return ScriptedEngine(lambda text: answers.get(text.split()[-1], "?"))


def test_it_is_an_engine() -> None:
    made: Engine = engine()
    assert made.info.pair == "scripted"
    assert made.tokenizer.encode("hé") == list("hé".encode())
    assert made.tokenizer.token_bytes(END) == b""
    assert made.tokenizer.stop_ids.isdisjoint(range(256))


def test_the_answer_follows_the_text_before_the_cursor() -> None:
    found = engine(add="(a, b):").generate(b"def add", STOP, never)
    assert spell(found) == b"(a, b):"


def test_the_answer_spells_the_owed_bytes_first() -> None:
    found = engine(add="(a, b):").generate(b"def ", STOP, never, owed=b"add")
    assert spell(found) == b"add(a, b):"


@pytest.mark.parametrize("order", ["prefix first", "suffix first"])
def test_a_fill_in_the_middle_prompt_is_read_around_the_suffix(order: str) -> None:
    prefix, suffix = [FIM.prefix, *b"import x\n"], [FIM.suffix, *b"\nreturn"]
    front = prefix + suffix if order == "prefix first" else suffix + prefix
    tokenizer = ScriptedTokenizer(FIM)
    assert tokenizer.before_cursor([*front, FIM.middle, *b"def "]) == b"import x\ndef "


def test_tokens_come_in_steps_and_end_at_the_limit() -> None:
    made = ScriptedEngine(lambda _: "abcdefghij", tokens_per_step=4)
    steps = [bytes(step.tokens) for step in made.generate(b"x", Limits(6), never)]
    assert steps == [b"abcd", b"ef"]


def test_without_stop_ids_the_end_is_emitted_too() -> None:
    made = ScriptedEngine(lambda _: "a")
    assert [step.tokens for step in made.generate(b"x", Limits(9), never)] == [(97, END)]


def test_the_counters_say_what_was_done() -> None:
    made = ScriptedEngine(lambda _: "abcdef", tokens_per_step=4)
    first, second = Stats(), Stats()
    assert spell(made.generate(b"hello", STOP, never, stats=first)) == b"abcdef"
    assert (first.prompt_tokens, first.reused_tokens, first.prefilled_tokens) == (5, 0, 5)
    assert (first.target_steps, first.generated_tokens, first.accepted_tokens) == (2, 6, 5)
    assert set(first.ms) == {"prefill", "verify"}
    list(made.generate(b"helloabx", STOP, never, stats=second))
    assert (second.reused_tokens, second.prefilled_tokens) == (7, 1)
    third = Stats()
    list(made.generate(b"helloabx", STOP, never, stats=third))
    assert (third.reused_tokens, third.prefilled_tokens) == (7, 1)  # the last is always computed


def test_cancelling_stops_before_the_next_step_and_keeps_the_cache() -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    made = ScriptedEngine(lambda _: "abcdefgh", tokens_per_step=2)
    steps = made.generate(b"hello", STOP, cancelled)
    assert next(steps).tokens == (97, 98)
    with pytest.raises(Cancelled):
        next(steps)
    stats = Stats()
    list(made.generate(b"helloab!", STOP, never, stats=stats))
    assert stats.reused_tokens == 7


def test_alternatives_are_the_first_bytes_of_the_texts() -> None:
    others = ["b = 2", "also hidden", "", "c"]
    made = ScriptedEngine(lambda _: "a = 1", others=lambda _: others)
    tokens = made.alternatives(b"x\n", 9, never)
    assert tokens == [*b"ab", END, *b"c"]
    assert made.alternatives(b"x\n", 2, never) == [*b"ab"]
    made.alternatives(b"x\n", 9, never)
    answers = [spell(made.generate([*b"x\n", token], STOP, never)) for token in b"abc"]
    assert answers == [b" = 1", b" = 2", b""]
    assert made.alternatives(b"x", 9, never, owed=b"\n") == [*b"\n"]
    with pytest.raises(Cancelled):
        made.alternatives(b"x\n", 9, lambda: True)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ContextOverflow, match="do not fit"):
        next(engine().generate(b"x" * 2**20, STOP, never))
    with pytest.raises(ContextOverflow, match="do not fit"):
        engine().alternatives(b"x" * 2**20, 3, never)


def test_a_script_is_read_and_plays(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    content = {
        "answers": [
            {"ends_with": "def ad", "text": "d(a, b):", "others": ["just(a):"]},
            {"ends_with": "ad", "text": "2"},
        ],
        "default": "pass",
        "fim": True,
        "phases": [{"phase": "downloading", "message": "fetching", "done": 43, "total": 100}],
    }
    path.write_text(json.dumps(content))
    told: list[Progress] = []
    script = read_script(path)
    made = script.load(told.append)
    assert told == [Progress("downloading", "fetching", 43, 100)]
    assert [script.answer(text) for text in ("def ad", "read", "x")] == ["d(a, b):", "2", "pass"]
    assert spell(made.generate(b"def ad", STOP, never)) == b"d(a, b):"
    assert made.alternatives(b"def ad", 3, never) == [*b"dj"]
    assert made.alternatives(b"read", 3, never) == [*b"2"]
    assert isinstance(made.tokenizer.fim, FimTokens)


def test_a_script_can_fail_to_load() -> None:
    script = Script(fail="no space left", phases=[LoadPhase("converting", "writing")])
    told: list[Progress] = []
    with pytest.raises(WeightsError, match="no space left"):
        script.load(told.append)
    assert told[0].phase == "converting"


@pytest.mark.parametrize(
    ("content", "why"),
    [("{", "truncated"), ('{"speed": 1}', "speed"), ('{"answers": [{"text": "x"}]}', "ends_with")],
)
def test_a_bad_script_is_named_with_its_mistake(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(content)
    with pytest.raises(WeightsError, match=f"script.json is not one: .*{why}"):
        read_script(path)
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        read_script(tmp_path / "none.json")


def test_answers_are_plain_data() -> None:
    assert Script(answers=[Answer("a", "b")]).answer("xa") == "b"
