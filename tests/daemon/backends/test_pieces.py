from hypothesis import given
from hypothesis import strategies as st

from umbrella_daemon.backends.chat import CHAT, messages_of
from umbrella_daemon.backends.events import EventReader
from umbrella_daemon.backends.pieces import FIM, LONGEST, PieceTokenizer, ids_of, parts_of
from umbrella_daemon.backends.spelling import broken_up, found, named, spelled, spells_control
from umbrella_daemon.resident.conversation import conversation_ids
from umbrella_daemon.wire import Message
from umbrella_engine import control_tokens

TOKENIZER = PieceTokenizer(FIM)
TEXTS = st.text() | st.text("ab_ \n\t(){}1.é🙂\r", max_size=60)


def spell(ids: list[int]) -> bytes:
    return b"".join(map(TOKENIZER.token_bytes, ids))


@given(TEXTS)
def test_ids_spell_the_text_byte_for_byte(text: str) -> None:
    text = text.encode(errors="replace").decode()
    ids = TOKENIZER.encode(text)
    assert spell(ids).decode() == text
    assert all(0 < token < 2**63 for token in ids)  # they fit into a frame


@given(st.binary(max_size=40))
def test_any_bytes_have_ids(data: bytes) -> None:
    assert spell(ids_of(data)) == data


@given(st.integers(LONGEST + 1, 10_000), st.integers(0, 255))
def test_a_run_is_one_id(length: int, byte: int) -> None:
    (token,) = ids_of(bytes((byte,)) * length)
    assert TOKENIZER.token_bytes(token) == bytes((byte,)) * length


@given(TEXTS, st.sampled_from("abc"))
def test_what_follows_a_line_changes_no_piece_before_it(text: str, letter: str) -> None:
    line = text.replace("\n", "").replace("\r", "") + "x\n"
    ids = TOKENIZER.encode(line)
    assert TOKENIZER.encode(line + letter)[: len(ids)] == ids


def test_pieces_end_where_tokens_do() -> None:
    pieces = [
        TOKENIZER.token_bytes(token) for token in TOKENIZER.encode("        self.size += 10\n")
    ]
    assert pieces == [b"       ", b" self", b".size", b" +=", b" ", b"1", b"0", b"\n"]


def test_control_tokens_part_texts() -> None:
    ids = [FIM.prefix, *TOKENIZER.encode("a b"), FIM.suffix, FIM.middle, *TOKENIZER.encode("é")]
    assert list(parts_of(ids, TOKENIZER)) == [FIM.prefix, "a b", FIM.suffix, FIM.middle, "é"]
    assert spell(ids) == "a bé".encode()


@given(st.lists(st.sampled_from([*control_tokens.KNOWN, "<", "|", ">", " ", "x"])).map("".join))
def test_no_text_spells_a_control_token(text: str) -> None:
    safe = broken_up(text)
    assert not spells_control(safe)
    assert not any(one in safe for one in control_tokens.KNOWN)
    assert safe.replace(" ", "") == text.replace(" ", "")


def test_only_control_tokens_are_spelled_as_such() -> None:
    spellings = named("qwen")
    text = spelled([FIM.prefix, "<|fim_prefix|>", FIM.middle], spellings)
    assert text == "<|fim_prefix|>< |fim_prefix|><|fim_middle|>"


def test_each_family_is_found_by_its_tokens() -> None:
    for family in control_tokens.FIM:
        spellings = found(family.__contains__)
        assert [spellings[one] for one in (FIM.prefix, FIM.suffix, FIM.middle)] == list(family)
    assert found(lambda spelling: False) == {}


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXTS), min_size=1))
def test_conversations_come_out_as_they_went_in(turns: list[tuple[str, str]]) -> None:
    turns = [(role, text.encode(errors="replace").decode()) for role, text in turns]
    tokenizer = PieceTokenizer()
    ids = conversation_ids([Message(*turn) for turn in turns], tokenizer)
    messages = messages_of(list(parts_of(ids, tokenizer)))
    assert [(one["role"], one["content"]) for one in messages] == turns
    assert tokenizer.chat is CHAT


EVENTS = st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1))


@given(EVENTS, st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 7))
def test_events_are_the_same_however_they_arrive(events: list[str], end: bytes, size: int) -> None:
    stream = b": hello" + end + end
    for event in events:
        stream += b"event: x" + end + b"data: " + event.encode() + end + end
    reader = EventReader()
    read = []
    for start in range(0, len(stream), size):
        read += reader.feed(stream[start : start + size])
    assert [one.decode() for one in read] == events
