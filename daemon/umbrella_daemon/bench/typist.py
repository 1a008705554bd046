"""A session of typing made up from real code: the same one for the same seed.

Functions of the standard library are cut out of their files and typed in again with the intervals,
typos, backspaces, jumps, acceptances and changes of file of a person. What is typed in the end is
what stood there. Acceptances insert the rest of the line whatever was suggested, so that every
contender meets the same keys.
"""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from umbrella_daemon.typing_trace import (
    Ask,
    Change,
    Event,
    Focus,
    Header,
    Open,
    Place,
    Trace,
    asks,
    first,
)
from umbrella_engine.tune.corpus import default_folder

SHORTEST, LONGEST = 120, 420  # characters of a function
LINES_BEFORE: Final = 30  # at least, so that there is something to read
FILE_BYTES: Final = range(8_000, 60_000)
KEY_MS: Final = (5.1, 0.35)  # a log-normal: 165 ms at the median, 105 to 258 for two thirds
WORD_MS, LINE_MS = 90.0, 320.0  # more before a word, before a line
THINKS, THINK_MS = 0.05, 1400.0  # how often before a line, for how long
TYPOS: Final = 0.025  # of letters
ACCEPTS: Final = 0.3  # of lines, once half is typed
ACCEPT_MS: Final = 550.0  # reading what is suggested
JUMP_MS: Final = 1500.0


@dataclass(frozen=True, slots=True)
class Function:
    """A function and what stands around it."""

    file: str
    before: str
    text: str
    after: str


@dataclass
class Session:
    """What is typed, event by event; times grow as a person would take them."""

    seed: int
    rng: random.Random = field(init=False)
    events: list[Event] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    _ms: float = 0.0

    def __post_init__(self) -> None:
        """Begin."""
        self.rng = random.Random(self.seed)

    def open(self, function: Function) -> None:
        """Open a file without its function and put the cursor where that is to stand."""
        text = function.before + function.after
        self.texts[function.file] = text
        self.events.append(Open(self._ms, function.file, "python", text))
        self.move(function.file, len(function.before), JUMP_MS)

    def type(self, function: Function) -> None:
        """Type a function in, with all that goes wrong."""
        document, place = function.file, len(function.before)
        for number, line in enumerate(function.text.split("\n")):
            text = line.lstrip(" ") if number else line
            if number:  # as editors do, Enter brings the new line's indentation along
                key = "\n" + line[: len(line) - len(text)]
                place = self._key(document, place, key)
            taken = len(text) // 2 if len(text) > 12 and self.rng.random() < ACCEPTS else len(text)
            for key in text[:taken]:
                place = self._key(document, place, key)
            if rest := text[taken:]:
                self._insert(document, place, rest, ACCEPT_MS, accepted=True)
                place += len(rest)

    def move(self, document: str, place: int, ms: float) -> None:
        """Put the cursor somewhere."""
        self._ms += ms * self.rng.uniform(0.7, 1.4)
        self.events.append(Focus(self._ms, document, self._place(document, place)))

    def fix(self, document: str, seed: int) -> None:
        """Jump to a line further up, type a word of comment there, take it back."""
        lines = self.texts[document].split("\n")
        row = random.Random(seed).randrange(5, max(6, len(lines) // 3))
        place = len("\n".join(lines[: row + 1]))
        self.move(document, place, JUMP_MS)
        for count, key in enumerate("  # see below"):
            self._insert(document, place + count, key, self._interval(key))
        for count in range(len("  # see below"), 0, -1):
            self._delete(document, place + count - 1, 1, 60.0)

    def _key(self, document: str, place: int, key: str) -> int:
        if key.isalpha() and self.rng.random() < TYPOS:
            wrong = self.rng.choice("etaoinshr".replace(key, ""))
            more = self.rng.randrange(3)
            for count in range(1 + more):
                self._insert(document, place + count, wrong, self._interval(wrong))
            for count in range(more, -1, -1):
                ms = 380.0 if count == more else 90.0  # seeing it takes a moment
                self._delete(document, place + count, 1, ms)
        self._insert(document, place, key, self._interval(key))
        return place + len(key)

    def _interval(self, key: str) -> float:
        ms = self.rng.lognormvariate(*KEY_MS)
        if key.startswith("\n"):
            ms += LINE_MS + (THINK_MS if self.rng.random() < THINKS * 4 else 0.0)
        elif not key.isalnum():
            ms += WORD_MS
        return min(ms, 4000.0)

    def _insert(
        self, document: str, place: int, text: str, ms: float, *, accepted: bool = False
    ) -> None:
        at = self._place(document, place)
        self._change(document, place, place, text, (*at, *at), ms, accepted=accepted)

    def _delete(self, document: str, place: int, count: int, ms: float) -> None:
        start, end = self._place(document, place), self._place(document, place + count)
        self._change(document, place, place + count, "", (*start, *end), ms, accepted=False)

    def _change(
        self,
        document: str,
        start: int,
        end: int,
        text: str,
        span: tuple[int, int, int, int],
        ms: float,
        *,
        accepted: bool,
    ) -> None:
        self._ms += ms
        now = round(self._ms, 1)
        self.events.append(Change(now, document, span, text, accepted))
        old = self.texts[document]
        self.texts[document] = old[:start] + text + old[end:]
        self.events.append(Ask(now, document, self._place(document, start + len(text))))

    def _place(self, document: str, place: int) -> Place:
        before = self.texts[document][:place]
        return before.count("\n"), len(before) - before.rfind("\n") - 1


def synthesise(seed: int = 11, keys: int = 400, folder: Path | None = None) -> Trace:
    """Make a session of `keys` asks: functions of one file after the other, some jumps between."""
    session = Session(seed)
    found = functions(folder or default_folder(), seed)
    number = 0
    while asks(session.events) < keys:
        function = next(found)
        number += 1
        session.open(function)
        session.type(function)
        if number % 2 == 0:
            session.fix(function.file, seed + number)
    header = Header(source=f"made up, seed {seed}")
    return first(Trace(header, tuple(session.events)), keys)


def functions(folder: Path, seed: int) -> Iterator[Function]:
    """Give functions of a folder's Python files, each of another file, in random order."""
    files = sorted(path for path in folder.glob("*.py") if path.stat().st_size in FILE_BYTES)
    random.Random(seed).shuffle(files)
    for path in files:
        source = path.read_text("utf-8", "ignore")
        if not source.isascii() or "\r" in source:
            continue
        fitting = list(_fitting(path.name, source))
        if fitting:
            yield random.Random(f"{seed} {path.name}").choice(fitting)


def _fitting(name: str, source: str) -> Iterator[Function]:
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.lineno > LINES_BEFORE:
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            text = "".join(lines[first:last]).rstrip("\n")
            if SHORTEST <= len(text) <= LONGEST and '"""' not in text:
                indent = text[: len(text) - len(text.lstrip())]
                before = "".join(lines[:first]) + indent
                yield Function(name, before, text[len(indent) :], "\n" + "".join(lines[last:]))
