"""Control tokens of a model elsewhere, found by asking its tokenizer, and text that spells some.

Promises: text that looks like a control token never becomes one.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from umbrella_daemon.backends.chat import Part
from umbrella_daemon.backends.pieces import FIM, PieceTokenizer
from umbrella_engine import control_tokens
from umbrella_engine.interface import FimTokens

Spellings = dict[int, str]  # control tokens of `pieces.FIM` as a family spells them

FAMILIES: Final = {  # names for the setting backend.fim
    "qwen": "<|fim_prefix|>",
    "starcoder": "<fim_prefix>",
    "deepseek": "<｜fim▁begin｜>",  # noqa: RUF001
    "codellama": "▁<PRE>",
    "codegeex": "<|code_prefix|>",
    "seed-coder": "<[fim-prefix]>",
    "codestral": "[PREFIX]",
}
_FILES: Final = {"<|fim_prefix|>": "<|file_sep|>", "<fim_prefix>": "<file_sep>"}
_SPELLED: Final = re.compile(
    r"<[|｜][^\s<>]{1,40}?[|｜]>|"  # noqa: RUF001
    + "|".join(map(re.escape, sorted(control_tokens.KNOWN | {"<s>"}, key=len, reverse=True)))
)


def named(family: str) -> Spellings:
    """Give the spellings of a family by its name in the settings."""
    return _spellings(FAMILIES[family], lambda spelling: True)


def found(is_token: Callable[[str], bool]) -> Spellings:
    """Give the spellings of the family whose control tokens a vocabulary has; {} of none."""
    for first, *others in control_tokens.FIM:
        if is_token(first) and all(map(is_token, others)):
            return _spellings(first, is_token)
    return {}


def tokenizer_for(spellings: Spellings) -> PieceTokenizer:
    """Give the tokenizer for a model with these control tokens."""
    if not spellings:
        return PieceTokenizer()
    order = control_tokens.ORDERS.get(spellings[FIM.prefix], "psm")
    file = FIM.file if FIM.file in spellings else None
    return PieceTokenizer(FimTokens(FIM.prefix, FIM.suffix, FIM.middle, file=file, order=order))


def spells_control(text: str) -> bool:
    """Whether a tokenizer that knows control tokens may find one in `text`."""
    return bool(_SPELLED.search(text))


def broken_up(text: str) -> str:
    """Give `text` with a space inside of each spelling of a control token."""
    while spells_control(text):
        text = _SPELLED.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


def spelled(parts: Sequence[Part], spellings: Spellings) -> str:
    """Give a prompt as one text, in which only control tokens are spelled as such."""
    return "".join(spellings[part] if isinstance(part, int) else broken_up(part) for part in parts)


def _spellings(first: str, is_token: Callable[[str], bool]) -> Spellings:
    family = next(one for one in control_tokens.FIM if one[0] == first)
    spellings = dict(zip((FIM.prefix, FIM.suffix, FIM.middle), family, strict=True))
    file = _FILES.get(first, "")
    assert FIM.file is not None
    return spellings | ({FIM.file: file} if file and is_token(file) else {})
