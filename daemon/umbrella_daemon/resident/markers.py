"""Names of control tokens, spelled as text, and characters that broke: no editor gets them.

A document that holds such a name is encoded as text, and a model may go on writing it as text.
Promises: what is kept of an answer holds none of them, nor the beginning of one at its end.
"""

import re
from typing import Final

_MARKER: Final = re.compile(
    r"<[|｜][A-Za-z_▁]+[|｜]>"  # noqa: RUF001
    r"|<\[?fim[-_](?:prefix|suffix|middle|pad)\]?>|<file_sep>|▁<(?:PRE|SUF|MID|EOT)>"
    r"|\ufffd"
)
_BEGUN: Final = re.compile(
    r"<(?:[|｜][A-Za-z_▁]+[|｜]?|\[?fim[-_][a-z]*\]?|file_s\w*)\Z"  # noqa: RUF001
)
_LETTER: Final = re.compile(r"[A-Za-z▁]")


def before_marker(text: str) -> tuple[str, bool]:
    """Give `text` up to the first control token spelled out, and whether there is one.

    The beginning of one at the end (of three letters or more) is left out as well.
    """
    if found := _MARKER.search(text):
        return text[: found.start()], True
    begun = _BEGUN.search(text)
    if begun and len(_LETTER.findall(begun[0])) > 2:
        return text[: begun.start()], False
    return text, False
