"""A scripted engine whose answers agree with each other, and a person who edits at random.

The engine's text is a chain: each character follows from the few before it and from the text after
the cursor, so that the answer at one state begins where the answer before it went on.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.job import Job
from umbrella_daemon.wire import Complete, Completed
from umbrella_engine.scripted import FIM, ScriptedEngine, ScriptedTokenizer

MEMORY = 4  # characters of the text before that decide the next one
LONGEST = 200
LETTERS = "aab(x) .:,=)]\né"


@cache
def _next(before: str, after: str) -> str:
    """Give the next character, "" at the end; indentation comes in fours."""
    rng = random.Random(f"{before}\0{after}")
    indent = len(before) - before.rfind("\n") - 1
    if "\n" in before and before.endswith("\n" + " " * indent):
        return " " if indent or rng.random() < 0.6 else rng.choice(LETTERS)
    return "" if rng.random() < 0.04 else rng.choice(LETTERS)


def chain(text: str) -> str:
    """Continue `text`: what stands before the cursor, a zero and what stands after it."""
    before, _, after = text.partition("\0")
    written = ""
    while len(written) < LONGEST and (piece := _next((before + written)[-MEMORY:], after[:8])):
        written += piece
    return written


def others(text: str) -> list[str]:
    """Continue otherwise, with two other first characters."""
    before, _, after = text.partition("\0")
    firsts = random.Random(text).sample("abx( ", 2)
    return [first + chain(f"{before}{first}\0{after}") for first in firsts]


class Chain(ScriptedEngine):
    """The engine; remembers every prompt it was given."""

    def __init__(self) -> None:
        super().__init__(chain, tokenizer=ScriptedTokenizer(FIM), others=others, logprob=-0.12)
        self.prompts: list[str] = []

    def _known(self, ids: Sequence[int], owed: bytes) -> str:
        ids = list(ids)
        after = bytes(ids[ids.index(FIM.suffix) + 1 : ids.index(FIM.middle)])
        self.prompts.append(bytes(one for one in ids if one < 256).decode(errors="replace"))
        return f"{super()._known(ids, owed)}\0{after.decode(errors='replace')}"


def ask(completer: Completer, request: Complete) -> tuple[Job, Completed]:
    """Answer `request` without any store."""
    job = Job(1, request, lambda _: None)
    return job, completer.complete(job)


@dataclass
class Person:
    """Edits a document at random, often as a suggestion says."""

    rng: random.Random
    newline: str = "\n"
    before: str = ""
    after: str = ""
    shown: Completed | None = None
    undone: list[tuple[str, str]] = field(default_factory=list)
    history: list[tuple[str, str]] = field(default_factory=list)

    def edit(self) -> str:
        """Do one thing; gives its name."""
        chosen = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        state = self.before, self.after
        getattr(self, chosen)()
        if chosen not in ("undo", "redo") and state != (self.before, self.after):
            self.history.append(state)
            self.undone.clear()
        return chosen

    def suggested(self, part: str) -> None:
        if self.shown is not None:
            whole = part == self.shown.text
            self.before += part
            if whole:
                self.after = self.after[self.shown.replace_after :]

    def type_through(self) -> None:
        self.suggested(self.shown.text[:1] if self.shown else "")

    def paste_suggested(self) -> None:
        text = self.shown.text if self.shown else ""
        self.before += text[: self.rng.randint(0, len(text))]

    def accept(self) -> None:
        self.suggested(self.shown.text if self.shown else "")

    def accept_word(self) -> None:
        text = self.shown.text if self.shown else ""
        head = text[: len(text) - len(text.lstrip())]
        self.suggested(head + text[len(head) :].split(" ")[0])

    def accept_line(self) -> None:
        self.suggested((self.shown.text if self.shown else "").split("\n")[0])

    def type_any(self) -> None:
        self.before += self.rng.choice(LETTERS)

    def enter(self) -> None:
        self.before += self.newline + self.rng.choice(("", "    "))

    def paste(self) -> None:
        self.before += "".join(self.rng.choices(LETTERS, k=self.rng.randint(2, 9)))

    def backspace(self) -> None:
        self.before = self.before[: -self.rng.randint(1, 3)]

    def move(self) -> None:
        whole = self.before + self.after
        place = self.rng.randint(0, len(whole))
        self.before, self.after = whole[:place], whole[place:]

    def delete(self) -> None:
        self.after = self.after[self.rng.randint(1, 3) :]

    def undo(self) -> None:
        if self.history:
            self.undone.append((self.before, self.after))
            self.before, self.after = self.history.pop()

    def redo(self) -> None:
        if self.undone:
            self.history.append((self.before, self.after))
            self.before, self.after = self.undone.pop()


WEIGHTS = {
    "type_through": 10,
    "paste_suggested": 3,
    "accept": 3,
    "accept_word": 3,
    "accept_line": 2,
    "type_any": 5,
    "enter": 1,
    "paste": 1,
    "backspace": 4,
    "move": 1,
    "delete": 1,
    "undo": 4,
    "redo": 1,
}
