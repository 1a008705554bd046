"""A request as the token ids the model reads, laid out so that typing only appends.

Promises: at most `max_prompt_tokens` ids and at least one; while a line is typed, the ids of one
keystroke begin with nearly all ids of the one before. Text at the cursor that may still grow into
another token is taken back: the answer must spell it again (token healing). Line ends are read as
line feeds. Knows text and ids, no model and no cache.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from umbrella_daemon.resident.window import before_and_typed, encoded, first_tokens
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import FimTokens, Tokenizer

_MOST_OWED: Final = 64  # bytes taken back; a word longer than this is healed at its end only
_IDENTIFIER: Final = re.compile(r"[ \t]*\w*\Z")
_BREAK_AND_IDENTIFIER: Final = re.compile(r"\s*\w*\Z")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What goes to the engine."""

    ids: list[int]
    owed: bytes  # what the answer must spell before new text starts
    layout: str  # name of the layout, for the trace


@dataclass(frozen=True, slots=True)
class _Room:
    """Tokens there are for text."""

    prefix: int
    suffix: int


class Layout(Protocol):
    """One way to put the text around a cursor in order."""

    def control_tokens(self) -> int:
        """How many ids the layout adds to the text."""
        ...

    def lay_out(self, prefix: str, suffix: str, room: _Room) -> Prompt:
        """Order the text around the cursor, no more of it than there is room for."""
        ...


class Anchored:
    """Fill in the middle, with the current line after the middle token.

    prefix token, lines before, suffix token, text after the cursor, middle token, typed text: what
    is typed comes last, so nothing before it is computed again.
    """

    def __init__(self, tokenizer: Tokenizer, fim: FimTokens) -> None:
        self._tokenizer = tokenizer
        self._fim = fim
        self._start = [] if tokenizer.bos_id is None else [tokenizer.bos_id]

    def control_tokens(self) -> int:
        """How many ids the layout adds to the text."""
        return len(self._start) + 3

    def lay_out(self, prefix: str, suffix: str, room: _Room) -> Prompt:
        """Order the text around the cursor, no more of it than there is room for."""
        before, typed = before_and_typed(prefix, room.prefix, self._tokenizer)
        typed_ids = _last(encoded(typed, self._tokenizer), room.prefix)
        kept, owed = _take_back(typed_ids, typed, _IDENTIFIER, self._tokenizer)
        before_ids = _last(encoded(_unix(before), self._tokenizer), room.prefix - len(kept))
        suffix_ids = first_tokens(_unix(suffix), room.suffix, self._tokenizer)
        ids = [
            *self._start,
            self._fim.prefix,
            *before_ids,
            self._fim.suffix,
            *suffix_ids,
            self._fim.middle,
            *kept,
        ]
        return Prompt(ids, owed, "anchored")


class Plain:
    """The text before the cursor alone, for vocabularies without fill-in-the-middle tokens.

    Line breaks and indentation before the cursor are taken back together with the word: these
    vocabularies join them into one token, which a prompt ending in a bare break rules out.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._start = [] if tokenizer.bos_id is None else [tokenizer.bos_id]

    def control_tokens(self) -> int:
        """How many ids the layout adds to the text."""
        return 1

    def lay_out(self, prefix: str, suffix: str, room: _Room) -> Prompt:
        """Order the text before the cursor, no more of it than there is room for."""
        text = _unix("".join(before_and_typed(prefix, room.prefix, self._tokenizer)))
        ids = _last(self._tokenizer.encode(text), room.prefix)
        kept, owed = _take_back(ids, text, _BREAK_AND_IDENTIFIER, self._tokenizer)
        return Prompt([*self._start, *kept] or [_document_start(self._tokenizer)], owed, "plain")


def build_prompt(
    request: Complete, tokenizer: Tokenizer, settings: PromptSettings, max_prompt_tokens: int
) -> Prompt:
    """Lay a request out for a model, in the way that its vocabulary allows.

    Raises ValueError when `max_prompt_tokens` leaves no room for the layout's own tokens.
    """
    fim = tokenizer.fim
    layout: Layout = Plain(tokenizer) if fim is None else Anchored(tokenizer, fim)
    left = max_prompt_tokens - layout.control_tokens()
    if left < 0:
        raise ValueError(
            f"a prompt of {max_prompt_tokens} tokens has no room for the "
            f"{layout.control_tokens()} control tokens; raise engine.context_tokens"
        )
    suffix_tokens = min(settings.suffix_tokens, max(left - settings.prefix_tokens, left // 5))
    prefix_tokens = min(settings.prefix_tokens, left - suffix_tokens)
    return layout.lay_out(request.prefix, request.suffix, _Room(prefix_tokens, suffix_tokens))


def _take_back(
    ids: Sequence[int], text: str, unfinished: re.Pattern[str], tokenizer: Tokenizer
) -> tuple[Sequence[int], bytes]:
    """Part the ids of `text` into those to keep and the bytes of those taken back.

    Taken back are the tokens that touch what `unfinished` finds at the end of the text, at least
    one, at most `_MOST_OWED` bytes (and never a part of a character).
    """
    found = unfinished.search(text, max(0, len(text) - _MOST_OWED))
    wanted = max(1, len(found[0].encode())) if found else 1
    keep, owed = len(ids), b""
    while keep and len(owed) < wanted:
        piece = tokenizer.token_bytes(ids[keep - 1])
        if len(piece) + len(owed) > _MOST_OWED:
            break
        keep, owed = keep - 1, piece + owed
    while keep and _starts_inside_character(owed):
        keep, owed = keep - 1, tokenizer.token_bytes(ids[keep - 1]) + owed
    if not text.encode().endswith(owed):  # a vocabulary that cannot spell this text
        return ids, b""
    return ids[:keep], owed


def _starts_inside_character(data: bytes) -> bool:
    return data[:1] != b"" and data[0] & 0b1100_0000 == 0b1000_0000


def _last(ids: Sequence[int], count: int) -> Sequence[int]:
    return ids[max(0, len(ids) - count) :]


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _document_start(tokenizer: Tokenizer) -> int:
    """Id for a prompt without text: what parts documents in training, else a line break.

    End of text is the first stop id in the vocabularies that need this: control tokens are
    numbered in the order in which training stages added them.
    """
    return min(tokenizer.stop_ids, default=tokenizer.encode("\n")[0])
