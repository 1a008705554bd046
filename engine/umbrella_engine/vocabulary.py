"""The vocabulary of a `tokenizer.json`: which id adds which bytes, which ids are control tokens.

Promises: bytes are exact for byte-level (GPT-2 alphabet) and SentencePiece-like ("▁", "<0x0A>")
vocabularies. How control tokens are spelled is in `control_tokens`.

Departures from what the file says, all so that text survives unchanged: Unicode normalisation and
the space that SentencePiece puts in front are switched off, truncation and padding too.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
from tokenizers import Tokenizer as Backend

from umbrella_engine.control_tokens import FILE, FIM, KNOWN, ORDERS, PAD, REPO, SHAPE
from umbrella_engine.errors import UnsupportedModel, WeightsError
from umbrella_engine.interface import FimTokens

_PADDING: Final = re.compile(r"\[PAD\d+\]|<unused_?\d+>")  # ids that only fill the embedding up
_BYTE_PIECE: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class _AddedToken(msgspec.Struct):
    """An entry of `added_tokens`."""

    id: int
    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the ids of a tokenizer mean."""

    spellings: list[str]  # by id, as the file spells them; "" for an id without a token
    pieces: list[bytes]  # by id, what they add to the text; b"" for control tokens
    ids: dict[str, int]
    controls: dict[str, int]  # control tokens alone: "</s>" is plain text in some vocabularies

    def fim(self) -> FimTokens | None:
        """Fill-in-the-middle tokens of a family that has all three."""
        for family in FIM:
            if all(spelling in self.controls for spelling in family):
                prefix, suffix, middle = (self.controls[spelling] for spelling in family)
                return FimTokens(
                    prefix,
                    suffix,
                    middle,
                    pad=self._first(PAD),
                    repo=self._first(REPO),
                    file=self._first(FILE),
                    order=ORDERS.get(family[0], "psm"),
                )
        return None

    def end_ids(self) -> set[int]:
        """Control tokens after which an answer has ended, by their spelling."""
        return {self.controls[spelling] for spelling in KNOWN & self.controls.keys()}

    def is_padding(self, token: int) -> bool:
        """Tell whether an id only fills the embedding up."""
        return not self.spellings[token] or bool(_PADDING.fullmatch(self.spellings[token]))

    def _first(self, spellings: Iterable[str]) -> int | None:
        return next((self.controls[s] for s in spellings if s in self.controls), None)


def read_tokenizer_file(path: Path) -> tuple[Backend, Vocabulary]:
    """Read a `tokenizer.json`; the backend encodes control tokens' spellings as plain text.

    Raises WeightsError when the file is missing or broken, UnsupportedModel when its vocabulary
    is neither byte-level nor SentencePiece-like.
    """
    try:
        spec = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
        added = msgspec.json.decode(spec.get("added_tokens", b"[]"), type=list[_AddedToken])
        for token in added:
            token.special = token.special or _is_control(token.content)
        byte_level = _is_byte_level(spec)
        backend = Backend.from_buffer(_plain_text_spec(spec, added, byte_level))
    except UnsupportedModel as error:
        raise UnsupportedModel(f"{path}: {error}") from None
    except Exception as error:  # the backend raises bare Exception
        raise WeightsError(
            f"The tokenizer {path} cannot be read ({error}). Nothing was changed; "
            "fetch or convert the model again, or name another folder."
        ) from error
    backend.encode_special_tokens = True
    return backend, _read_vocabulary(backend, added, byte_level)


def _is_control(spelling: str) -> bool:
    return spelling in KNOWN or bool(SHAPE.fullmatch(spelling))


def _section(spec: dict[str, msgspec.Raw], name: str) -> Any:
    return msgspec.json.decode(spec.get(name, b"null"))


def _steps(section: Any) -> Iterator[dict[str, Any]]:
    """Go through every component of a section, nested sequences too."""
    if isinstance(section, dict):
        yield section
        for value in section.values():
            yield from _steps(value)
    elif isinstance(section, list):
        for value in section:
            yield from _steps(value)


def _is_byte_level(spec: dict[str, msgspec.Raw]) -> bool:
    """Tell byte-level vocabularies (True) from SentencePiece-like ones (False)."""
    steps = [
        step
        for name in ("decoder", "pre_tokenizer", "normalizer")
        for step in _steps(_section(spec, name))
    ]
    kinds = {step.get("type") for step in steps}
    if "ByteLevel" in kinds:
        return True
    if kinds & {"ByteFallback", "Metaspace"} or any("▁" in step.values() for step in steps):
        return False
    raise UnsupportedModel(
        "the vocabulary is neither byte-level nor SentencePiece-like, so the text of its tokens "
        "is not known byte for byte. Nothing was loaded; choose another model."
    )


def _plain_text_spec(
    spec: dict[str, msgspec.Raw], added: list[_AddedToken], byte_level: bool
) -> bytes:
    """Give the file again without the steps that change text or its length."""
    marks = [s for s in _steps(_section(spec, "normalizer")) if s.get("content") == "▁"]
    pre_tokenizer = _section(spec, "pre_tokenizer")
    for step in _steps(pre_tokenizer):
        if "add_prefix_space" in step:
            step["add_prefix_space"] = False
        if step.get("type") == "Metaspace":
            step["prepend_scheme"] = "never"
    changed = {
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None if byte_level else {"type": "Sequence", "normalizers": marks},
        "pre_tokenizer": pre_tokenizer,
    }
    return msgspec.json.encode(spec | changed)


def _byte_alphabet() -> dict[int, int]:
    """Map GPT-2's printable stand-ins for bytes to the bytes, as code points (`str.translate`)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: byte for byte in shown} | {256 + i: byte for i, byte in enumerate(hidden)}


def _read_vocabulary(backend: Backend, added: list[_AddedToken], byte_level: bool) -> Vocabulary:
    ids = backend.get_vocab(with_added_tokens=True)
    spellings = [""] * (max(ids.values(), default=-1) + 1)
    for spelling, token in ids.items():
        spellings[token] = spelling
    pieces = _byte_level_pieces(spellings) if byte_level else _marked_pieces(spellings)
    for entry in added:
        if byte_level:  # their spelling is plain text
            pieces[entry.id] = entry.content.encode()
        if entry.special:
            pieces[entry.id] = b""
    for token, spelling in enumerate(spellings):
        if spelling[:1] in "[<" and _PADDING.fullmatch(spelling):
            pieces[token] = b""
    controls = {entry.content: entry.id for entry in added if entry.special}
    return Vocabulary(spellings, pieces, ids, controls)


def _byte_level_pieces(spellings: list[str]) -> list[bytes]:
    alphabet = _byte_alphabet()
    everything = "".join(spellings)
    if not set(map(ord, set(everything))) <= alphabet.keys():  # some token is spelled as plain text
        return [_byte_level_piece(spelling, alphabet) for spelling in spellings]
    everything_bytes = everything.translate(alphabet).encode("latin-1")
    ends = accumulate(map(len, spellings), initial=0)
    return [everything_bytes[start:end] for start, end in pairwise(ends)]


def _byte_level_piece(spelling: str, alphabet: dict[int, int]) -> bytes:
    if all(ord(character) in alphabet for character in spelling):
        return spelling.translate(alphabet).encode("latin-1")
    return spelling.encode()


def _marked_pieces(spellings: list[str]) -> list[bytes]:
    """Bytes of SentencePiece-like tokens: "▁" is a space, "<0x0A>" a byte."""
    pieces = [spelling.replace("▁", " ").encode() for spelling in spellings]
    for token, spelling in enumerate(spellings):
        if spelling.startswith("<0x") and (byte := _BYTE_PIECE.fullmatch(spelling)):
            pieces[token] = bytes([int(byte[1], 16)])
    return pieces
