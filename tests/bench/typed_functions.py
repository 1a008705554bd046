"""Functions of the standard library to type in again, and what types them into the daemon's parts.

The parts are store, scheduler, completer and engine, in this process.
"""

import ast
import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.bench_pair import FILES, library_source
from umbrella_daemon.resident.answers import Answers
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.loading import Loaded, load_engine
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Complete, Completed

SHORTEST, LONGEST = 60, 160  # characters of a function
PER_FILE = 5


@dataclass(frozen=True, slots=True)
class Function:
    """A function and what stands around it."""

    name: str
    before: str
    text: str
    after: str


def functions() -> Iterator[Function]:
    """Give functions of the standard library, the same ones each time."""
    for file in FILES:
        source = library_source(file)
        lines = source.splitlines(keepends=True)
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
        fitting = []
        for node in nodes:
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            text = "".join(lines[first:last]).rstrip("\n")
            if first > 30 and SHORTEST <= len(text) <= LONGEST and text.isascii():
                fitting.append((first, last, text, node.name))
        fitting.sort()
        for first, last, text, name in random.Random(file).sample(
            fitting, min(PER_FILE, len(fitting))
        ):
            after = "\n" + "".join(lines[last:])
            yield Function(f"{file}:{name}", "".join(lines[:first]), text, after)


def keystrokes(text: str) -> Iterator[str]:
    """Cut text into what each key inserts: a character, or a line break with indentation."""
    place = 0
    while place < len(text):
        end = place + 1
        if text[place] == "\n":
            while end < len(text) and text[end] == " ":
                end += 1
        yield text[place:end]
        place = end


class Typist:
    """Types into the daemon's parts and waits for nothing but the clock."""

    def __init__(self, settings: Settings, loaded: Loaded | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._loaded = loaded or load_engine(settings, lambda _: None)
        self._completer = Completer(self._loaded.engine, settings)
        completer = self._completer
        self._scheduler = Scheduler(lambda: None, completer.complete, completer.advance)
        self._scheduler.start()
        self._answers = Answers(settings, self._scheduler, self._loop.call_soon_threadsafe)
        self._number = 0
        self.pair = self._loaded.pair

    def ask(self, function: Function, typed: str, after: str) -> asyncio.Future[Completed]:
        """Ask at the end of `typed`, as a language server would."""
        self._number += 1
        answer: asyncio.Future[Completed] = self._loop.create_future()
        request = Complete(
            id=self._number,
            document=function.name,
            version=self._number,
            language="python",
            path=function.name.partition(":")[0],
            prefix=function.before + typed,
            suffix=after,
        )
        self._answers.complete(1, request, answer.set_result)
        return answer

    async def engine_says(self, function: Function, typed: str) -> Completed:
        """Ask the engine itself, past the store."""
        document = function.name.partition(":")[0]
        request = Complete(
            0, function.name, 0, "python", document, function.before + typed, function.after
        )
        done: asyncio.Future[Completed] = self._loop.create_future()
        self._scheduler.submit(
            Job(2, request, lambda one: self._loop.call_soon_threadsafe(done.set_result, one))
        )
        return await done

    def close(self) -> None:
        """End the engine's thread."""
        self._scheduler.close()
        self._scheduler.join(5)
