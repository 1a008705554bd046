"""A tokenizer for models whose vocabulary is elsewhere: ids that are their own text.

Text is cut where byte-level vocabularies cut it before they look for tokens, so that no token of
the model reaches over the end of such a piece (long pieces are cut again, see below): a prompt that
ends with one is read by the server as the same prompt that goes on. One piece is about one token:
1.03 pieces a token of Qwen2.5-Coder's on source code, 0.89 of SmolLM2's.

An id holds the bytes of its piece, so nothing has to be kept or looked up: up to 7 bytes below a
leading 1, or one byte and how often it is repeated (indentation). All fit into 64 bits. Negative
ids are control tokens.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from umbrella_daemon.backends.chat import CHAT, Part
from umbrella_engine.interface import ChatFormat, FimTokens

LONGEST: Final = 7  # bytes of a piece that is no run
_RUN: Final = 1 << 60
_PIECE: Final = re.compile(
    r"(?:[^\r\n\w]|_)?[^\W\d_]+"  # letters, with one other character before them
    r"|\d"
    r"| ?(?:[^\s\w]|_)+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FIM: Final = FimTokens(prefix=-1, suffix=-2, middle=-3, file=-4)


@dataclass(frozen=True)
class PieceTokenizer:
    """Implements `umbrella_engine.interface.Tokenizer`."""

    fim: FimTokens | None = None
    chat: ChatFormat = CHAT
    bos_id: int | None = None  # the server sees to it
    stop_ids: frozenset[int] = frozenset()  # the server ends an answer
    vocab_size: int = 2**63

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, in which nothing is a control token."""
        return [
            piece_id for found in _PIECE.finditer(text) for piece_id in ids_of(found[0].encode())
        ]

    def token_bytes(self, token: int) -> bytes:
        """Bytes of `token`; empty for control tokens."""
        if token < 0:
            return b""
        if token >= _RUN:
            return bytes((token & 0xFF,)) * ((token - _RUN) >> 8)
        return token.to_bytes(LONGEST + 1).lstrip(b"\0")[1:]


def ids_of(data: bytes) -> list[int]:
    """Ids that spell `data`, as few as there may be."""
    if len(data) > LONGEST and data == data[:1] * len(data):
        return [_RUN + (len(data) << 8) + data[0]]
    return [
        int.from_bytes(b"\1" + data[start : start + LONGEST])
        for start in range(0, len(data), LONGEST)
    ]


def parts_of(ids: Sequence[int], tokenizer: PieceTokenizer) -> Iterator[Part]:
    """Give control tokens as they are, and the text between them."""
    for control, group in groupby(ids, lambda token: token < 0):
        if control:
            yield from group
        else:
            data = b"".join(map(tokenizer.token_bytes, group))
            yield data.decode("utf-8", "replace")
