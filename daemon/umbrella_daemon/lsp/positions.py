"""Columns of the protocol ↔ characters of a line, in the encoding agreed with the client.

A column counts code units: bytes in UTF-8, 16-bit words in UTF-16, code points in UTF-32. Text is
valid Unicode without lone surrogates. Knows nothing of documents.
"""

from typing import Final

from lsprotocol import types

_CODECS: Final = {
    types.PositionEncodingKind.Utf8.value: ("utf-8", 1),
    types.PositionEncodingKind.Utf16.value: ("utf-16-le", 2),
    types.PositionEncodingKind.Utf32.value: ("utf-32-le", 4),
}


class Units:
    """Converts between code units and characters (`encoding`: "utf-8", "utf-16", "utf-32")."""

    def __init__(self, encoding: str = "utf-16") -> None:
        self.encoding = encoding
        self._codec, self._width = _CODECS[encoding]

    def count(self, text: str) -> int:
        """Give the length of `text` in code units."""
        return len(text) if text.isascii() else len(text.encode(self._codec)) // self._width

    def index(self, line: str, column: int) -> int:
        """Give how many characters of `line` lie before `column`.

        A column past the end gives the line's length; one inside a character gives its start.
        """
        if line.isascii():
            return min(column, len(line))
        units = line.encode(self._codec)[: column * self._width]
        return len(units.decode(self._codec, "ignore"))
