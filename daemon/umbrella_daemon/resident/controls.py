"""Text in which control tokens are spelled out, as ids."""

import re
from functools import lru_cache

from umbrella_engine.interface import ChatFormat, Tokenizer


def ids_with_controls(text: str, tokenizer: Tokenizer, without: str = "") -> list[int]:
    """Encode spellings of control tokens as these, and all between them as text.

    `without` is taken out of the text between them.
    """
    spellings, controls = spellings_of(tokenizer.chat), tokenizer.chat.controls
    ids: list[int] = []
    for part in spellings.split(text) if spellings else [text]:
        if part in controls:
            ids.append(controls[part])
        elif part:
            ids += tokenizer.encode(part.replace(without, "") if without else part)
    return ids


@lru_cache(maxsize=4)
def spellings_of(chat: ChatFormat) -> re.Pattern[str] | None:
    """Give what finds the spellings of control tokens, the longest first; None without any."""
    known = sorted((one for one in chat.controls if len(one) > 1), key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, known))})") if known else None
