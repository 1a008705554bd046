import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpe import CHAT_TOKENS, FIM_TOKENS, add_tokens, sources, spec, trained, write
from umbrella_engine.errors import EngineError, UnsupportedModel, WeightsError
from umbrella_engine.interface import FimTokens, Tokenizer
from umbrella_engine.tokenizer import TextStream, load_tokenizer, vocabulary_difference

KINDS = ("plain", "fim", "marked")
TEXT = st.text()
CODE = st.builds(
    lambda text, start, length, tail: text[start : start + length] + tail,
    st.sampled_from(sources()),
    st.integers(0, 5000),
    st.integers(0, 80),
    TEXT,
)


def spelled(tokenizer: Tokenizer, ids: list[int]) -> str:
    return b"".join(map(tokenizer.token_bytes, ids)).decode()


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXT | CODE)
def test_any_text_survives(kind: str, text: str) -> None:
    if kind == "marked":
        text = text.replace("\u2581", "_")  # these vocabularies spell a space with it
    tokenizer = trained(kind)
    assert spelled(tokenizer, tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_encoded_in_few_tokens(kind: str) -> None:
    text = "".join(sources())
    assert len(trained(kind).encode(text)) < len(text) / 2


@pytest.mark.parametrize("kind", ["plain", "fim"])
def test_control_tokens_in_a_text_are_text(kind: str) -> None:
    tokenizer = trained(kind)
    text = "x = '<|endoftext|>'  # <|fim_prefix|><|im_end|>\n<file_sep>"
    ids = tokenizer.encode(text)
    assert spelled(tokenizer, ids) == text
    assert not tokenizer.stop_ids & set(ids)


def test_an_added_token_shaped_like_control_is_control_even_if_not_marked(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        add_tokens(content, "<|tool|>", "<fim_pad>", special=False)
        add_tokens(content, "    ", "<table>", special=False)

    tokenizer = write(tmp_path, "plain", change)
    start = trained("plain").vocab_size
    assert tokenizer.vocab_size == start + 4
    assert [tokenizer.token_bytes(start + i) for i in range(4)] == [b"", b"", b"    ", b"<table>"]
    assert tokenizer.spelling(start) == "<|tool|>"
    assert spelled(tokenizer, tokenizer.encode("<|tool|>")) == "<|tool|>"
    assert tokenizer.encode("<table>") == [start + 3]
    assert start + 2 in tokenizer.encode("x    y")


@pytest.mark.parametrize("kind", ["plain", "fim"])
def test_every_byte_is_a_token(kind: str) -> None:
    tokenizer = trained(kind)
    single = {tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)}
    assert {bytes([byte]) for byte in range(256)} <= single


def test_byte_pieces_and_marks_of_sentencepiece() -> None:
    tokenizer = trained("marked")
    emoji = tokenizer.encode("🦜")
    assert [tokenizer.spelling(token) for token in emoji] == [
        "<0xF0>",
        "<0x9F>",
        "<0xA6>",
        "<0x9C>",
    ]
    assert b"".join(map(tokenizer.token_bytes, emoji)) == "🦜".encode()
    assert spelled(tokenizer, tokenizer.encode("return")[:1])[0] == "r"  # no space in front
    assert tokenizer.spelling(tokenizer.encode(" return")[0]).startswith("▁")


def test_truncation_padding_and_spaces_in_front_are_not_taken_over(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["truncation"] = {
            "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0
        }  # fmt: skip
        content["pre_tokenizer"]["add_prefix_space"] = True

    tokenizer = write(tmp_path, "plain", change)
    text = "return self.tokens"
    assert tokenizer.encode(text * 9) == trained("plain").encode(text * 9)
    assert spelled(tokenizer, tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "family",
    [
        ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
        ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # noqa: RUF001
        ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ],
)
def test_fim_tokens_of_known_families(family: tuple[str, ...], tmp_path: Path) -> None:
    kind = "marked" if family[0].startswith("▁") else "plain"
    tokenizer = write(tmp_path, kind, lambda content: add_tokens(content, *family))
    first = trained(kind).vocab_size
    assert tokenizer.fim is not None
    assert tokenizer.fim.prefix == first
    assert (tokenizer.fim.suffix, tokenizer.fim.middle) == (first + 1, first + 2)
    assert {first, first + 1, first + 2} <= tokenizer.stop_ids


def test_all_fim_tokens_are_found() -> None:
    tokenizer = trained("fim")
    ids = {tokenizer.spelling(token): token for token in range(tokenizer.vocab_size)}
    prefix, suffix, middle, pad = (ids[spelling] for spelling in FIM_TOKENS)
    assert tokenizer.fim == FimTokens(prefix, suffix, middle, pad=pad, file=ids["<file_sep>"])


def test_no_fim_tokens_without_all_three(tmp_path: Path) -> None:
    tokenizer = write(
        tmp_path, "plain", lambda content: add_tokens(content, "<fim_prefix>", "<fim_suffix>")
    )
    assert tokenizer.fim is None
    assert trained("plain").fim is None


def test_stop_ids_by_spelling_and_by_each_config(tmp_path: Path) -> None:
    pieces = map(trained("plain").token_bytes, range(300, 3000))
    word = next(piece for piece in pieces if piece.isalpha()).decode()
    tokenizer = write(
        tmp_path,
        "plain",
        generation_config={"eos_token_id": [90, 91]},
        config={"eos_token_id": 92},
        tokenizer_config={"eos_token": {"content": word}},
    )
    named = tokenizer.encode(word)
    assert len(named) == 1
    assert tokenizer.stop_ids == {*range(len(CHAT_TOKENS)), 90, 91, 92, *named}


def test_text_that_happens_to_be_a_token_is_no_stop(tmp_path: Path) -> None:
    """Some vocabularies have "</s>" as a piece of HTML, not as a control token."""

    def change(content: dict[str, Any]) -> None:
        content["model"]["vocab"]["</s>"] = len(content["model"]["vocab"])

    tokenizer = write(tmp_path, "plain", change)
    assert tokenizer.token_bytes(tokenizer.vocab_size - 1) == b"</s>"
    assert tokenizer.vocab_size - 1 not in tokenizer.stop_ids


TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {
        "<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}
    },
}


@pytest.mark.parametrize(
    ("template", "config", "bos"),
    [
        (None, {}, None),
        (None, {"bos_token": "<|endoftext|>"}, None),
        (None, {"bos_token": "<|endoftext|>", "add_bos_token": True}, 0),
        (None, {"bos_token": {"content": "<|im_end|>"}, "add_bos_token": True}, 2),
        (TEMPLATE, {}, 1),
        (TEMPLATE, {"bos_token": "<|im_start|>", "add_bos_token": False}, None),
    ],
)
def test_bos_only_where_the_tokenizer_adds_it(
    template: dict[str, Any] | None, config: dict[str, Any], bos: int | None, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["post_processor"] = template

    tokenizer = write(tmp_path, "plain", change, tokenizer_config=config)
    assert tokenizer.bos_id == bos
    assert tokenizer.encode("x")[0] != bos


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"model": 3}', '{"added_tokens": {}}'])
def test_a_missing_or_broken_file_names_the_path(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(EngineError, match=str(tmp_path / "tokenizer.json")):
        load_tokenizer(tmp_path)


def test_a_vocabulary_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    content = json.loads(spec("plain")) | {"pre_tokenizer": {"type": "Whitespace"}, "decoder": None}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(UnsupportedModel, match="neither byte-level nor SentencePiece-like"):
        load_tokenizer(tmp_path)


def test_a_broken_config_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(WeightsError, match=r"config\.json is not a JSON object"):
        write(tmp_path)


class TestVocabularyDifference:
    def test_equal(self, tmp_path: Path) -> None:
        assert vocabulary_difference(trained("fim"), write(tmp_path, "fim")) == ""

    def test_padding_is_no_difference(self, tmp_path: Path) -> None:
        ids = [f"[PAD{number}]" for number in range(7)]
        padded = write(tmp_path, "fim", lambda content: add_tokens(content, *ids, special=False))
        assert padded.vocab_size == trained("fim").vocab_size + 7
        assert padded.token_bytes(padded.vocab_size - 1) == b""
        assert vocabulary_difference(trained("fim"), padded) == ""
        assert vocabulary_difference(padded, trained("fim")) == ""

    def test_swapped_tokens_are_shown(self, tmp_path: Path) -> None:
        def swap(content: dict[str, Any]) -> None:
            vocabulary = content["model"]["vocab"]
            vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]

        tokenizer = write(tmp_path, "fim", swap)
        message = vocabulary_difference(trained("fim"), tokenizer)
        a = trained("fim").encode("a")[0]
        assert message.startswith("2 of 3000 common ids mean different text")
        assert f"id {a} is 'a' for the target, 'b' for the draft" in message

    def test_other_control_tokens_are_shown(self, tmp_path: Path) -> None:
        def rename(content: dict[str, Any]) -> None:
            content["added_tokens"][1]["content"] = "<|turn|>"
            content["model"]["vocab"]["<|turn|>"] = content["model"]["vocab"].pop("<|im_start|>")

        message = vocabulary_difference(trained("fim"), write(tmp_path, "fim", rename))
        assert "id 1 is '<|im_start|>' for the target, '<|turn|>' for the draft" in message

    def test_other_vocabulary(self) -> None:
        message = vocabulary_difference(trained("fim"), trained("marked"))
        assert "target has 3000 ids, draft 3000" in message


def stream_in_blocks(data: st.DataObject, tokenizer: Tokenizer, ids: list[int]) -> list[list[int]]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=6)))
    return [ids[a:b] for a, b in zip([0, *cuts], [*cuts, len(ids)], strict=True)]


class TestTextStream:
    @given(text=TEXT | CODE, data=st.data())
    def test_text_grows_by_whole_characters(self, text: str, data: st.DataObject) -> None:
        tokenizer = trained("plain")
        stream = TextStream(tokenizer)
        for block in stream_in_blocks(data, tokenizer, list(text.encode())):
            # single bytes: every character that has more is cut somewhere
            tokens = [token for byte in block for token in BYTE_IDS[byte]]
            assert text.startswith(stream.push(tokens))
        assert stream.text == text

    @given(owed=TEXT, text=TEXT, data=st.data())
    def test_owed_text_is_left_out(self, owed: str, text: str, data: st.DataObject) -> None:
        tokenizer = trained("plain")
        stream = TextStream(tokenizer, owed.encode())
        for block in stream_in_blocks(data, tokenizer, tokenizer.encode(owed + text)):
            assert text.startswith(stream.push(block))
        assert stream.text == text

    def test_bytes_that_are_no_character(self) -> None:
        stream = TextStream(trained("plain"))
        assert stream.push([*BYTE_IDS[0xE2], *BYTE_IDS[0x82]]) == ""
        assert stream.push(BYTE_IDS[ord("a")]) == "\ufffda"
        assert stream.push(BYTE_IDS[0xFF]) == "\ufffda\ufffd"

    def test_control_tokens_add_nothing(self) -> None:
        stream = TextStream(trained("plain"))
        assert stream.push([0, 1, 2]) == ""

    def test_an_answer_that_breaks_its_promise_is_an_error(self) -> None:
        tokenizer = trained("plain")
        stream = TextStream(tokenizer, b"return")
        assert stream.push(tokenizer.encode("ret")) == ""
        with pytest.raises(EngineError, match="b'return' had to be spelled"):
            stream.push(tokenizer.encode("ry"))


BYTE_IDS = {
    byte: [token]
    for token in range(trained("plain").vocab_size)
    for byte in trained("plain").token_bytes(token)
    if len(trained("plain").token_bytes(token)) == 1
}
