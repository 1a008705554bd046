import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_daemon.resident.answer_stream import AnswerStream
from umbrella_daemon.resident.endings import LeastIndent, LineAfter, Rule, StopTexts
from umbrella_engine.interface import Step
from umbrella_engine.scripted import ScriptedTokenizer

TOKENIZER = ScriptedTokenizer()  # one token a byte


def pieces(data: bytes, rules: Sequence[Rule] = (), size: int = 1, owed: bytes = b"") -> list[str]:
    """What is shown of `data`, after each `size` tokens and at the end."""
    stream = AnswerStream(TOKENIZER, owed, rules)
    shown = []
    for start in range(0, len(data), size):
        stream.push(Step(tuple(data[start : start + size])))
        if stream.ended:
            break
        shown.append(stream.take()[0])
    return [*shown, stream.take(last=True)[0]]


def test_characters_are_shown_whole() -> None:
    assert pieces("a€🙂".encode()) == ["a", "", "", "€", "", "", "", "🙂", ""]


def test_a_character_that_is_cut_off_is_left_out_and_what_is_none_is_marked() -> None:
    assert "".join(pieces("a€".encode()[:-1])) == "a"
    assert "".join(pieces(b"a\xffb")) == "a\ufffdb"


def test_what_may_begin_a_stop_text_is_held_back() -> None:
    stops = StopTexts(["\nUser:", "STOP"])
    assert pieces(b"a STing STOP b", [stops]) == [
        "a", " ", "", "", "STi", "n", "g", " ", "", "", "", "",
    ]  # fmt: skip
    assert stops.found == "STOP"


def test_a_beginning_of_a_stop_text_at_the_end_is_shown_after_all() -> None:
    assert "".join(pieces(b"so STO", [StopTexts(["STOP"])])) == "so STO"


def test_the_first_of_several_stop_texts_counts() -> None:
    stops = StopTexts(["bc", "abcd"])
    assert "".join(pieces(b"xabcd", [stops], size=5)) == "x"
    assert stops.found == "abcd"


def test_what_is_owed_is_not_shown() -> None:
    assert "".join(pieces(b"return x", owed=b"ret")) == "urn x"


def test_a_line_that_is_indented_less_ends_the_answer() -> None:
    data = b"x\n\n    y\n  z"
    assert "".join(pieces(data, [LeastIndent(4)])) == "x\n\n    y"
    assert "".join(pieces(data, [LeastIndent(2)])) == data.decode()


def test_the_line_is_ended_after_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("umbrella_daemon.resident.endings.time.monotonic", lambda: now[0])
    stream = AnswerStream(TOKENIZER, b"", [LineAfter(1.0)])
    stream.push(Step(tuple(b"a\nb")))
    now[0] = 2.0
    stream.push(Step(tuple(b"c")))
    assert not stream.ended
    stream.push(Step(tuple(b"d\ne")))
    assert stream.ended
    assert stream.take(last=True)[0] == "a\nbcd"


def test_tokens_come_with_the_text_that_they_spell() -> None:
    stream = AnswerStream(TOKENIZER, b"ow", [StopTexts(["XY"])])
    stream.push(Step(tuple(b"owaX"), (-1.0, -2.0, -3.0, -4.0)))
    text, tokens = stream.take()
    assert (text, [(one.bytes, one.logprob) for one in tokens]) == ("a", [(b"a", -3.0)])
    stream.push(Step(tuple(b"bXY"), (-5.0, -6.0, -7.0)))
    text, tokens = stream.take(last=True)
    assert (text, [one.logprob for one in tokens]) == ("Xb", [-4.0, -5.0])


@given(
    st.text(alphabet="ab\n €🙂", max_size=40),
    st.lists(st.text(alphabet="ab\n€", min_size=1, max_size=3), max_size=3),
    st.integers(1, 7),
    st.integers(0, 3),
)
def test_pieces_join_to_what_the_rules_leave(
    text: str, stops: list[str], size: int, columns: int
) -> None:
    def rules() -> list[Rule]:
        return [StopTexts(stops), LeastIndent(columns)]

    data = text.encode()
    whole = "".join(pieces(data, [StopTexts(stops)], size=max(1, len(data))))
    expected = min([text, *(text.split(stop)[0] for stop in stops)], key=len)
    assert whole == expected
    bytewise = "".join(pieces(data, rules(), size=1))
    chunked = AnswerStream(TOKENIZER, b"", rules())
    shown = ""
    rng = random.Random(size)
    while data and not chunked.ended:
        count = rng.randint(1, size)
        chunked.push(Step(tuple(data[:count])))
        shown += chunked.take()[0]
        data = data[count:]
    assert shown + chunked.take(last=True)[0] == bytewise
