"""`umbrella bench code`: how fast holes in code are filled, and how well.

Each hole is laid out as the daemon does and written by the engine as the daemon loads it. Quality
stands beside speed: the text is held against what stood in the hole, line for line.
"""

import difflib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from umbrella_daemon.bench.holes import Hole, from_folder, given
from umbrella_daemon.bench.result import BenchError, Figure
from umbrella_daemon.bench.writing import (
    WARM_UP,
    Account,
    Advanced,
    Ask,
    Writer,
    Written,
    race,
)
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import Engine, Tokenizer
from umbrella_engine.tokenizer import TextStream
from umbrella_engine.tune.corpus import default_folder

MARGIN_TOKENS = 64  # of the context, for owed bytes spelled in many tokens


@dataclass(frozen=True, slots=True)
class Holes:
    """Where holes come from: a file, a folder of the user's, else the standard library."""

    file: Path | None = None
    repository: Path | None = None
    count: int = 100
    seed: int = 11

    def cut(self) -> list[Hole]:
        """Give the holes and those to warm up with, in an order that makes a part a fair sample.

        Raises BenchError where there are too few.
        """
        wanted = self.count + WARM_UP
        if self.file is not None:
            found = given(self.file, wanted)
        else:
            found = from_folder(self.repository or default_folder(), wanted, self.seed)
        if len(found) <= WARM_UP:
            raise BenchError(
                f"{self.file or self.repository} gives {len(found)} holes, at least {WARM_UP + 1} "
                "are needed; folders are searched for source files of 500 characters to 200 kB"
            )
        random.Random(self.seed).shuffle(found)
        return found


@dataclass
class Quality:
    """How texts compare with what stood in the holes."""

    exact: list[bool] = field(default_factory=list)
    similarity: list[float] = field(default_factory=list)

    def judge(self, text: str, truth: str) -> None:
        """Hold as many lines of `text` as `truth` has against it."""
        lines = truth.rstrip().count("\n") + 1
        kept = "\n".join(text.split("\n")[:lines]).rstrip()
        self.exact.append(kept == truth.rstrip())
        matcher = difflib.SequenceMatcher(None, kept, truth.rstrip(), autojunk=False)
        self.similarity.append(matcher.ratio())

    def figures(self) -> dict[str, Figure]:
        """Give the columns."""
        return {
            "exact_match": round(mean(self.exact), 3),
            "edit_similarity": round(mean(self.similarity), 3),
        }


def ask_of(
    hole: Hole, tokenizer: Tokenizer, settings: PromptSettings, context_tokens: int, count: int
) -> Ask:
    """Lay a hole out as the daemon would."""
    request = Complete(
        id=1,
        document=hole.source,
        version=1,
        language=hole.language,
        path=hole.source,
        prefix=hole.prefix,
        suffix=hole.suffix,
    )
    prompt = build_prompt(request, tokenizer, settings, context_tokens - count - MARGIN_TOKENS)
    return Ask(prompt.ids, prompt.owed)


def measure(
    writers: Sequence[Writer],
    engine: Engine,
    holes: Sequence[Hole],
    settings: PromptSettings,
    *,
    count: int,
    seconds: float,
    advanced: Advanced,
) -> tuple[dict[str, Figure], ...]:
    """Let every writer fill every hole, in time; give a row each."""
    asks = [
        ask_of(hole, engine.tokenizer, settings, engine.info.context_tokens, count)
        for hole in holes
    ]
    accounts = {writer.name: Account() for writer in writers}
    qualities = {writer.name: Quality() for writer in writers}
    for place, answers in race(writers, asks, count, seconds, advanced):
        first = answers[writers[0].name]
        for name, written in answers.items():
            accounts[name].written.append(written)
            accounts[name].same += written.tokens == first.tokens
            text = _text(engine.tokenizer, asks[place], written)
            qualities[name].judge(text, holes[place].truth)
    return tuple(
        accounts[writer.name].figures(writer.name) | qualities[writer.name].figures()
        for writer in writers
    )


def _text(tokenizer: Tokenizer, ask: Ask, written: Written) -> str:
    stream = TextStream(tokenizer, ask.owed)
    stream.push(written.tokens)
    return stream.text
