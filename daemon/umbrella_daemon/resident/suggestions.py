"""What the engine wrote for the states a document was in, and what that says of other states.

A state is the text before and after a cursor with all else that decides an answer. Text written for
one state also is the answer for the states that typing it leads to, by whatever way: typed,
pasted, accepted in part, or come back to by undo. Promises: what the engine would give for that
state, or nothing. The rules that end, judge and clean an answer are applied anew at each state, to
all that was written, so nothing is given where they ask for text that was not written. Bounded in
entries and bytes, least recently used first. Belongs to one thread. Knows neither engine nor
scheduler.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from umbrella_daemon.resident.judge import (
    Bounds,
    Ending,
    Piece,
    bounds_of,
    conclude,
    read_again,
)
from umbrella_daemon.resident.postprocess import Shown, Silence
from umbrella_daemon.resident.stopping import newline_of
from umbrella_daemon.resident.written import Written
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Alternative, Complete

OVERHEAD_BYTES: Final = 512  # of an entry besides its texts
PIECE_BYTES: Final = 150

Owner = tuple[int, str]  # client, document
Situation = tuple[Hashable, ...]  # all that decides an answer besides the text before the cursor


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that needs no engine."""

    outcome: Shown | Silence
    alternatives: tuple[Alternative, ...] = ()
    prepared: bool = False  # the engine wrote it before anybody asked
    probability: float = 1.0


@dataclass(eq=False, slots=True)
class _Entry:
    """What was written after a text of `length` characters whose digest is `digest`."""

    key: tuple[Owner, Situation]
    length: int
    digest: bytes
    pieces: tuple[Piece, ...]  # with the line ends of the document
    raw: str  # all pieces together
    given: int  # characters of `raw` that must stand there already
    ended: bool  # the engine ended it by itself
    prepared: bool
    bounds: Bounds
    ending: Ending | None = None  # the answer at the state itself; None after other beginnings
    alternatives: tuple[Alternative, ...] = ()
    candidates: int = 1  # how many answers were asked for

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        texts = self.raw, *(one.text for one in self.alternatives)
        return OVERHEAD_BYTES + PIECE_BYTES * len(self.pieces) + sum(map(len, texts))


@dataclass(slots=True)
class SuggestionStore:
    """Answers by state, at most `max_entries` of them in at most `max_bytes`."""

    settings: CompletionSettings  # for what a request does not say
    max_entries: int
    max_bytes: int
    _entries: OrderedDict[_Entry, None] = field(default_factory=OrderedDict)  # oldest first
    _by_key: dict[tuple[Owner, Situation], list[_Entry]] = field(default_factory=dict)
    _bytes: int = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Bytes that all entries take, about."""
        return self._bytes

    def add(
        self,
        client: int,
        request: Complete,
        written: list[Written],
        alternatives: tuple[Alternative, ...] = (),
        *,
        prepared: bool = False,
    ) -> None:
        """Take in what the engine wrote for `request` of `client`, its own answer first."""
        key = (client, request.document), self._situation(request)
        newline = newline_of(request)
        for rank, one in enumerate(written):
            if rank and any(one.raw[:1] == better.raw[:1] for better in written[:rank]):
                continue  # once typed, its beginning might be spelled with a better one's tokens
            entry = _Entry(
                key,
                len(request.prefix),
                _digest(request.prefix),
                tuple((text.replace("\n", newline), logprob) for text, logprob in one.pieces),
                one.raw.replace("\n", newline),
                one.begun,
                one.ended,
                prepared,
                bounds_of(request, self.settings),
            )
            if rank == 0 and not one.late:
                entry.ending = Ending(one.text, one.probability, one.doubted)
                entry.alternatives, entry.candidates = alternatives, max(1, request.candidates)
            self._put(entry)

    def find(self, client: int, request: Complete) -> Found | None:
        """Give the answer to `request` where what is known decides it."""
        key = (client, request.document), self._situation(request)
        for entry in self._nearest(key, request.prefix):
            self._entries.move_to_end(entry)
            if found := self._answer(entry, request):
                return found
        return None

    def forget(self, client: int, document: str | None = None) -> None:
        """Drop what is known of a client's document, or of all of them."""
        for owner, situation in list(self._by_key):
            if owner[0] == client and document in (None, owner[1]):
                for entry in self._by_key[owner, situation].copy():
                    self._drop(entry)

    def clear(self) -> None:
        """Drop everything: another engine may say otherwise."""
        self._entries.clear()
        self._by_key.clear()
        self._bytes = 0

    def _situation(self, request: Complete) -> Situation:
        return (
            _digest(request.suffix),
            _digest("\0".join(f"{one.path}\0{one.text}" for one in request.snippets)),
            request.language,
            request.path,
            request.max_tokens or self.settings.max_tokens,
            request.max_lines or self.settings.max_lines,
        )

    def _nearest(self, key: tuple[Owner, Situation], prefix: str) -> list[_Entry]:
        """Give the entries of the latest state that leads to `prefix`.

        What was written for earlier states is never asked: where it differs, it is wrong.
        """
        fitting = [entry for entry in self._by_key.get(key, ()) if _leads_to(entry, prefix)]
        for length in sorted({entry.length for entry in fitting}, reverse=True):
            digest = _digest(prefix[:length])
            nearest = [one for one in fitting if one.length == length and one.digest == digest]
            if nearest:
                return nearest
        return []

    def _answer(self, entry: _Entry, request: Complete) -> Found | None:
        typed = len(request.prefix) - entry.length
        bounds = bounds_of(request, self.settings)
        ending = entry.ending if not typed and bounds == entry.bounds else None
        others: tuple[Alternative, ...] = ()
        if request.candidates > 1:
            if ending is None or entry.candidates < request.candidates:
                return None
            others = entry.alternatives[: request.candidates - 1]
        if typed and request.prefix.endswith("\r") and entry.raw.startswith("\n", typed):
            return None  # inside a line break
        if ending is None:
            ending = read_again(request, bounds, entry.pieces, typed=typed, ended=entry.ended)
        if ending is None:
            return None
        return Found(conclude(request, ending), others, entry.prepared, ending.probability)

    def _put(self, entry: _Entry) -> None:
        known = self._by_key.setdefault(entry.key, [])
        for same in [one for one in known if _same(one, entry)]:
            self._drop(same)
        self._by_key.setdefault(entry.key, []).append(entry)
        self._entries[entry] = None
        self._bytes += entry.size
        while len(self._entries) > self.max_entries or self._bytes > self.max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, entry: _Entry) -> None:
        del self._entries[entry]
        self._bytes -= entry.size
        siblings = self._by_key[entry.key]
        siblings.remove(entry)
        if not siblings:
            del self._by_key[entry.key]


def _leads_to(entry: _Entry, prefix: str) -> bool:
    typed = len(prefix) - entry.length
    return entry.given <= typed <= len(entry.raw) and prefix.endswith(entry.raw[:typed])


def _same(one: _Entry, other: _Entry) -> bool:
    """Tell entries that say the same thing of the same state, or an older thing."""
    beginnings = one.raw[: one.given], other.raw[: other.given]
    return (
        one.length == other.length
        and one.digest == other.digest
        and one.given == other.given
        and beginnings[0] == beginnings[1]
    )


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
