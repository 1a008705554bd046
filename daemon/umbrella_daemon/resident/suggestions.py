"""What the engine wrote for the states a document was in, and what that says of other states.

A state is the text before and after a cursor with all else that decides an answer. Text written for
one state also is the answer for the states that typing it leads to, by whatever way: typed,
pasted, accepted in part, or come back to by undo. Promises: what the engine would give for that
state, or nothing. The rules that end and clean an answer are applied anew at each state, to all
that was written, so nothing is given where they ask for text that was not written. Bounded in
entries and bytes, least recently used first. Belongs to one thread. Knows neither engine nor
scheduler.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from umbrella_daemon.resident.postprocess import Shown, Silence, postprocess
from umbrella_daemon.resident.stopping import Stopping, newline_of
from umbrella_daemon.resident.written import Written
from umbrella_daemon.wire import Alternative, Complete

OVERHEAD_BYTES: Final = 512  # of an entry besides its texts

Owner = tuple[int, str]  # client, document
Situation = tuple[Hashable, ...]  # all that decides an answer besides the text before the cursor


@dataclass(frozen=True, slots=True)
class Limits:
    """What answers are cut to where a request does not say."""

    max_tokens: int
    max_lines: int


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that needs no engine."""

    outcome: Shown | Silence
    alternatives: tuple[Alternative, ...] = ()
    prepared: bool = False  # the engine wrote it before anybody asked


@dataclass(eq=False, slots=True)
class _Entry:
    """What was written after a text of `length` characters whose digest is `digest`."""

    key: tuple[Owner, Situation]
    length: int
    digest: bytes
    raw: str  # with the line ends of the document
    given: int  # characters of `raw` that must stand there already
    ended: bool  # the engine ended it by itself
    prepared: bool
    text: str | None = None  # the answer at the state itself; None after other beginnings
    alternatives: tuple[Alternative, ...] = ()
    candidates: int = 1  # how many answers were asked for

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        texts = self.raw, self.text or "", *(one.text for one in self.alternatives)
        return OVERHEAD_BYTES + sum(map(len, texts))


@dataclass(slots=True)
class SuggestionStore:
    """Answers by state, at most `max_entries` of them in at most `max_bytes`."""

    limits: Limits
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
                one.raw.replace("\n", newline),
                one.begun,
                one.ended,
                prepared,
            )
            if rank == 0 and not one.late:
                entry.text = one.text
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
            request.max_tokens or self.limits.max_tokens,
            request.max_lines or self.limits.max_lines,
            request.min_confidence,
            request.explicit,  # it shows what is not sure, too
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
        if request.candidates > 1:
            if typed or entry.text is None or entry.candidates < request.candidates:
                return None
            others = entry.alternatives[: request.candidates - 1]
            return Found(postprocess(request, entry.text), others, entry.prepared)
        if entry.text is not None and not typed:
            return Found(postprocess(request, entry.text), (), entry.prepared)
        rest = entry.raw[typed:]
        if request.prefix.endswith("\r") and rest.startswith("\n"):
            return None  # inside a line break
        stopping = Stopping(request, request.max_lines or self.limits.max_lines)
        text = stopping.update(rest)
        if text is None and entry.ended:
            text = stopping.finish(rest)
        if text is None:
            return None
        return Found(postprocess(request, text), (), entry.prepared)

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
