from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpe import sources, trained, write
from umbrella_engine.errors import EngineError
from umbrella_engine.healing import Healing

HEALING = {kind: Healing(trained(kind)) for kind in ("plain", "fim", "marked")}
SOURCE = "".join(sources())


def keeps_promise(owed: bytes, piece: bytes) -> bool:
    return piece != b"" and (piece.startswith(owed) or owed.startswith(piece))


@pytest.mark.parametrize("kind", HEALING)
@given(owed=st.binary(min_size=1, max_size=9) | st.sampled_from([b"return", b"    ", b"\n    r"]))
def test_allowed_and_after_agree_with_the_definition(kind: str, owed: bytes) -> None:
    tokenizer, healing = trained(kind), HEALING[kind]
    pieces = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
    fitting = [token for token, piece in enumerate(pieces) if keeps_promise(owed, piece)]
    assert healing.allowed(owed).tolist() == fitting
    for token in (*fitting, 0, 1, 300):
        expected = owed[len(pieces[token]) :] if keeps_promise(owed, pieces[token]) else None
        assert healing.after(owed, token) == expected


@pytest.mark.parametrize("kind", HEALING)
@given(
    start=st.integers(0, len(SOURCE) - 60),
    tail=st.text(max_size=8),
    cut=st.integers(0, 100),
)
def test_the_tokens_of_a_text_pay_any_part_of_it(
    kind: str, start: int, tail: str, cut: int
) -> None:
    """Whatever is owed, the tokenizer's own way to spell the text is allowed all along."""
    tokenizer, healing = trained(kind), HEALING[kind]
    text = SOURCE[start : start + 60] + tail
    owed: bytes | None = text.encode()[:cut]
    for token in tokenizer.encode(text):
        if not owed:
            break
        assert token in healing.allowed(owed)
        owed = healing.after(owed, token)
    assert owed == b""


@pytest.mark.parametrize("kind", HEALING)
@given(owed=st.binary(min_size=1, max_size=12), data=st.data())
def test_every_allowed_path_ends(kind: str, owed: bytes, data: st.DataObject) -> None:
    healing = HEALING[kind]
    left: bytes | None = owed
    while left:
        token = data.draw(st.sampled_from(healing.allowed(left).tolist()))
        before, left = left, healing.after(left, token)
        assert left is not None
        assert len(left) < len(before)


def test_control_tokens_never_fit() -> None:
    healing = HEALING["fim"]
    assert healing.after(b"<|fim_prefix|>", 4) is None
    assert not trained("fim").stop_ids & set(healing.allowed(b"<").tolist())


def test_answers_are_remembered_and_cannot_be_changed() -> None:
    allowed = HEALING["plain"].allowed(b"self")
    assert HEALING["plain"].allowed(b"self") is allowed
    with pytest.raises(ValueError, match="read-only"):
        allowed[0] = 1


def test_nothing_owed_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="nothing is owed"):
        HEALING["plain"].allowed(b"")


def test_a_vocabulary_without_single_bytes_says_so(tmp_path: Path) -> None:
    def drop_bytes(content: dict[str, Any]) -> None:
        vocabulary = content["model"]["vocab"]
        content["model"]["vocab"] = {
            ("?" + piece if piece.startswith("<0x") else piece): token
            for piece, token in vocabulary.items()
        }
        content["model"]["byte_fallback"] = False

    healing = Healing(write(tmp_path, "marked", drop_bytes))
    assert healing.allowed(b"self").size
    with pytest.raises(EngineError, match=r"No token of the vocabulary spells .*xf0.*lacks single"):
        healing.allowed("🦜".encode())
