"""What an editor told a language server while somebody typed, as a file of JSON lines.

The first line says what the file is; each further one is an event with its time. Positions are
those of the protocol (UTF-16), documents go by their file's name alone. Text may be masked: letters
become x, digits 0, so that lengths, spaces and punctuation stay and nothing can be read. Each
character is masked by itself, so edits of a masked text give the masked text of the edits.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

KIND: Final = "umbrella typing trace"
FORMAT: Final = 1
# beyond ASCII nothing but space is left: marks and signs that go with letters tell what they are
_LOWER, _UPPER, _DIGIT = (
    re.compile(r"[a-z]|[^\x00-\x7f\s]"),
    re.compile("[A-Z]"),
    re.compile("[0-9]"),
)

Place = tuple[int, int]  # line, UTF-16 character
Range = tuple[int, int, int, int]  # from a place up to another


class TraceError(Exception):
    """A file is no trace, or cannot be read."""


class Header(msgspec.Struct, frozen=True, tag="trace"):
    """First line."""

    kind: str = KIND
    format: int = FORMAT
    masked: bool = False
    source: str = ""  # "recorded", or how it was made


class Open(msgspec.Struct, frozen=True, tag="open"):
    """A document is opened."""

    ms: float
    document: str
    language: str
    text: str


class Change(msgspec.Struct, frozen=True, tag="change"):
    """A part of a document is replaced; `range` is None where it is all of it."""

    ms: float
    document: str
    range: Range | None
    text: str
    accepted: bool = False  # text that a key took over whole


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """The editor asks for what could stand at a place."""

    ms: float
    document: str
    at: Place
    by_key: bool = False  # the user asked; else typing did


class Focus(msgspec.Struct, frozen=True, tag="focus"):
    """The cursor comes to a place without typing: another file, a jump."""

    ms: float
    document: str
    at: Place


class Close(msgspec.Struct, frozen=True, tag="close"):
    """A document is closed."""

    ms: float
    document: str


Event = Open | Change | Ask | Focus | Close


class Trace(msgspec.Struct, frozen=True):
    """A session of typing."""

    header: Header
    events: tuple[Event, ...]


def write(trace: Trace, path: Path) -> None:
    """Keep a trace."""
    path.write_bytes(msgspec.json.Encoder().encode_lines([trace.header, *trace.events]))


def line(part: Header | Event) -> bytes:
    """Give one line of the file, its end included."""
    return msgspec.json.encode(part) + b"\n"


def read(path: Path) -> Trace:
    """Read a trace. Raises TraceError."""
    try:
        lines = msgspec.json.Decoder(Header | Event).decode_lines(path.read_bytes())
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise TraceError(f"{path} is no typing trace: {error}") from None
    header, events = lines[:1], [line for line in lines[1:] if not isinstance(line, Header)]
    match header:
        case [Header(kind=str(kind), format=int(number)) as first] if kind == KIND:
            if number != FORMAT:
                raise TraceError(f"{path} is of format {number}; this release reads {FORMAT}")
            return Trace(first, tuple(events))
    raise TraceError(f"{path} is no typing trace: its first line does not say so")


def masked(event: Event) -> Event:
    """Give an event whose text cannot be read."""
    if isinstance(event, Open | Change):
        return msgspec.structs.replace(event, text=mask(event.text))
    return event


def mask(text: str) -> str:
    """Give text of the same shape; what is wider than one UTF-16 unit stays as wide."""
    text = "".join("XX" if ord(one) > 0xFFFF else one for one in text)
    return _DIGIT.sub("0", _UPPER.sub("X", _LOWER.sub("x", text)))


def first(trace: Trace, keys: int) -> Trace:
    """Give the beginning of a trace: so many asks, and what leads to them."""
    asked = [place for place, event in enumerate(trace.events) if isinstance(event, Ask)]
    if len(asked) <= keys:
        return trace
    return Trace(trace.header, trace.events[: asked[keys - 1] + 1])


def asks(events: Iterable[Event]) -> int:
    """Count how often something is asked."""
    return sum(isinstance(event, Ask) for event in events)
