"""A request as the token ids the model reads, laid out so that typing only appends.

Promises: at most `max_prompt_tokens` ids and at least one; while a line is typed, the ids of one
keystroke begin with nearly all ids of the one before, where the layout puts that line last. Text at
the cursor that may still grow into another token is taken back: the answer must spell it again
(token healing). Line ends are read as line feeds. Knows text and ids, no model and no cache.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from umbrella_daemon.resident.layouts import (
    AFTER,
    BEFORE,
    CONTEXT,
    TYPED,
    Around,
    Layout,
    Room,
    context_ids,
    layout_for,
)
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import Tokenizer

_MOST_OWED: Final = 64  # bytes taken back; a word longer than this is healed at its end only
# what may still grow, by mode of healing; vocabularies without fill-in-the-middle tokens join
# breaks and indentation into one token, which a prompt that ends in a bare break rules out
_UNFINISHED: Final = {
    "identifier": re.compile(r"[ \t]*\w*\Z"),
    "token": re.compile(r"\Z"),
}
_UNFINISHED_ACROSS_LINES: Final = {
    "identifier": re.compile(r"\s*\w*\Z"),
    "token": re.compile(r"\Z"),
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What goes to the engine."""

    ids: list[int]
    owed: bytes  # what the answer must spell before new text starts
    layout: str  # name of the layout, for the trace


def build_prompt(
    request: Complete, tokenizer: Tokenizer, settings: PromptSettings, max_prompt_tokens: int
) -> Prompt:
    """Lay a request out for a model, in the way that its vocabulary allows.

    Raises ValueError when `max_prompt_tokens` leaves no room for the layout's own tokens.
    """
    layout = layout_for(tokenizer.fim, settings.layout)
    start = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    left = max_prompt_tokens - max(1, len(start) + layout.controls)
    if left < 0:
        raise ValueError(
            f"a prompt of {max_prompt_tokens} tokens has no room for the "
            f"{layout.controls + len(start)} control tokens; raise engine.context_tokens"
        )
    context = context_ids(request, tokenizer, min(settings.context_tokens, left // 2))
    left -= len(context)
    suffix = min(settings.suffix_tokens, max(left - settings.prefix_tokens, left // 5))
    suffix = suffix if AFTER in layout.parts else 0
    around = Around(request, tokenizer, Room(min(settings.prefix_tokens, left - suffix), suffix))
    ids, owed = _lay_out(layout, around, context, tokenizer, settings.healing)
    return Prompt([*start, *ids] or [document_start(tokenizer)], owed, layout.name)


def _lay_out(
    layout: Layout, around: Around, context: Sequence[int], tokenizer: Tokenizer, healing: str
) -> tuple[list[int], bytes]:
    """Give the ids of the parts in order, and what was taken back."""
    texts: dict[str, Sequence[int]] = {CONTEXT: context, AFTER: around.after_ids()}
    if layout.joins_line:
        text = around.before + around.typed
        kept, owed = _take_back(
            around.joined_ids(),
            text,
            (_UNFINISHED_ACROSS_LINES if tokenizer.fim is None else _UNFINISHED).get(healing),
            tokenizer,
        )
        texts |= {BEFORE: kept, TYPED: []}
    else:
        kept, owed = _take_back(
            around.typed_ids(), around.typed, _UNFINISHED.get(healing), tokenizer
        )
        texts |= {BEFORE: around.before_ids(len(kept)), TYPED: kept}
    fim = tokenizer.fim
    ids: list[int] = []
    for part in layout.parts:
        ids += texts[part] if part in texts else [getattr(fim, part)]
    return ids, owed


def _take_back(
    ids: Sequence[int], text: str, unfinished: re.Pattern[str] | None, tokenizer: Tokenizer
) -> tuple[Sequence[int], bytes]:
    """Part the ids of `text` into those to keep and the bytes of those taken back.

    Taken back are the tokens that touch what `unfinished` finds at the end of the text, at least
    one, at most `_MOST_OWED` bytes (and never a part of a character); none where it is None.
    """
    if unfinished is None:
        return ids, b""
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


def document_start(tokenizer: Tokenizer) -> int:
    """Id for a prompt without text: what parts documents in training, else a line break.

    End of text is the first stop id in the vocabularies that need this: control tokens are
    numbered in the order in which training stages added them.
    """
    return min(tokenizer.stop_ids, default=tokenizer.encode("\n")[0])
