"""Which states of a document are likely to come next, once a suggestion is shown.

Pure functions of a request and the text shown for it: accepting all of it, its next line, its next
word, Enter at its end with the indentation that editors give the new line, and typing something
else than it says. Knows nothing of engine, store or clients.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from msgspec.structs import replace

from umbrella_daemon.resident.stopping import newline_of
from umbrella_daemon.wire import Complete

Kind = Literal["all", "line", "word", "newline", "other"]
KINDS: Final[tuple[Kind, ...]] = ("all", "line", "word", "newline", "other")  # likelier ones first
BRANCHES: Final = 3  # other beginnings that are prepared

_LINE: Final = re.compile(r"(?:\r?\n)?[^\r\n]*")
_WORD: Final = re.compile(r"\s*(?:\w+|[^\w\s]+)")
_INDENT: Final = re.compile(r"^[ \t]+(?=\S)", re.MULTILINE)
_OPENS: Final = re.compile(r"[:{(\[]\s*\Z")
_LEAVES: Final = re.compile(r"\s*(?:return|raise|pass|break|continue)\b")
_UNIT: Final = "    "


def accepted_part(text: str, kind: Kind) -> str:
    """Give what accepting a part of `text` inserts."""
    if kind in ("all", "newline"):
        return text
    found = (_LINE if kind == "line" else _WORD).match(text)
    return found[0] if found else text


def likely(request: Complete, text: str, replace_after: int) -> Iterator[tuple[Kind, Complete]]:
    """Give the states that may follow `text` shown for `request`, none of them twice.

    Where nothing is shown only Enter is likely.
    """
    after = {request.prefix, request.prefix + text}
    if text:
        yield "all", _typed(request, text, replace_after)
        for kind in ("line", "word"):
            part = accepted_part(text, kind)
            if request.prefix + part not in after:
                after.add(request.prefix + part)
                yield kind, _typed(request, part, 0)
    end = _typed(request, text, replace_after)
    if not re.split(r"\r?\n", end.suffix, maxsplit=1)[0].strip():
        yield "newline", _typed(end, newline_of(end) + _indentation(end), 0)


def in_full(request: Complete) -> Complete:
    """Ask for all that the engine would write, sure or not; what is shown is decided later."""
    return replace(request, explicit=True, candidates=1)


def otherwise(request: Complete, shown: str, beginnings: Iterable[str]) -> Iterator[Complete]:
    """Give the states after typing what answers begin with that differ from what is shown."""
    first = shown[:1]
    for character in list(dict.fromkeys(text[:1] for text in beginnings))[: BRANCHES + 1]:
        if character not in ("", first, "\n", "\r", "\ufffd"):
            yield in_full(_typed(request, character, 0))


def _typed(request: Complete, text: str, replace_after: int) -> Complete:
    return replace(
        request,
        prefix=request.prefix + text,
        suffix=request.suffix[replace_after:],
        explicit=False,
        candidates=1,
    )


def _indentation(request: Complete) -> str:
    """Give the white space that an editor puts at the start of the line after this one."""
    line = request.prefix[request.prefix.rfind("\n") + 1 :]
    indent = line[: len(line) - len(line.lstrip())]
    if _OPENS.search(line):
        return indent + _unit(request.prefix)
    if request.language == "python" and _LEAVES.match(line):
        return indent.removesuffix(_unit(request.prefix))
    return indent


def _unit(text: str) -> str:
    """Give one step of indentation, as the first indented line of `text` has it."""
    first = _INDENT.search(text)
    if first is None:
        return _UNIT
    return "\t" if "\t" in first[0] else first[0][: len(_UNIT)]
