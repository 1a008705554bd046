"""Real functions typed character by character: what answers each keystroke, and at what cost.

Usage: python -m tests.bench.bench_keystrokes [--pair smollm2] [--functions 50] [--from 0]
       [--interval-ms 250] [--idle-ms 500] [--check 0]

Functions of the standard library are cut out of their files and typed in again at a steady pace, in
real time, against the daemon's own parts (store, scheduler, completer, engine) in this process. As
editors do, Enter also inserts the indentation of the new line. Then suggestions are accepted whole
after a pause, and the time until the next one is there is taken; `--interval-ms 0` does only that.
`--check N` compares every Nth answer of the store with what the engine says to the same state
afterwards. The last line is JSON; `--from` and `--functions` cut the run into pieces.
"""

import argparse
import ast
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from tests.bench.bench_pair import FILES, library_source
from umbrella_daemon.resident.answers import Answers
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.loading import Loaded, load_engine
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.settings import Settings, load_settings
from umbrella_daemon.wire import Complete, Completed

SHORTEST, LONGEST = 60, 160  # characters of a function
PER_FILE = 5
PLACES = (0.25, 0.5, 0.75)  # of a function, from which on suggestions are accepted
ACCEPTS = 3  # of suggestions at each place, at most


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


@dataclass
class Result:
    """Everything seen, of one piece of the run."""

    sources: Counter[str] = field(default_factory=Counter)  # of answers by keystroke
    reasons: Counter[str] = field(default_factory=Counter)
    prefilled: list[int] = field(default_factory=list)  # tokens, by request of the engine
    answer_ms: dict[str, list[float]] = field(default_factory=dict)
    accept_ms: list[float] = field(default_factory=list)
    accept_sources: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    different: list[str] = field(default_factory=list)


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


async def type_in(
    typist: Typist, function: Function, interval: float, check: int, result: Result
) -> None:
    """Type one function; the first request, which reads the file, does not count."""
    await typist.ask(function, "", function.after)
    typed, answers = "", []
    due = time.perf_counter() + interval
    for key in keystrokes(function.text):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        due += interval
        typed += key
        answers.append((typed, typist.ask(function, typed, function.after)))
    store_answers = 0
    for state, future in answers:
        answer = await future
        trace = answer.trace
        result.sources[trace.source] += 1
        result.reasons[answer.reason or "shown"] += 1
        result.answer_ms.setdefault(trace.source, []).append(trace.ms["total"])
        if trace.source == "engine" and trace.prompt_tokens:
            result.prefilled.append(trace.prefilled_tokens)
        if trace.source == "store" and check:
            store_answers += 1
            if store_answers % check == 0:
                own = await typist.engine_says(function, state)
                result.checked += 1
                if (own.text, own.reason) != (answer.text, answer.reason):
                    result.different.append(f"{state[-30:]!r}: {answer.text!r} / {own.text!r}")


async def accept(typist: Typist, function: Function, idle: float, result: Result) -> None:
    """Accept suggestions whole, one after the other, each after a pause, from several places on."""
    for share in PLACES:
        typed, after = function.text[: int(len(function.text) * share)], function.after
        answer = await typist.ask(function, typed, after)
        for _ in range(ACCEPTS):
            if not answer.text:
                break
            await asyncio.sleep(idle)
            typed, after = typed + answer.text, after[answer.replace_after :]
            start = time.perf_counter()
            answer = await typist.ask(function, typed, after)
            result.accept_ms.append((time.perf_counter() - start) * 1e3)
            result.accept_sources[answer.trace.source] += 1


def _p90(values: Sequence[float]) -> float:
    return quantiles(values, n=10)[-1] if len(values) > 1 else sum(values)


def summary(result: Result) -> dict[str, object]:
    """Give the figures of a run."""
    answered = result.sources["store"] + result.sources["prefetch"]
    known = [
        ms for source, all_ms in result.answer_ms.items() if source != "engine" for ms in all_ms
    ]
    asked = result.answer_ms.get("engine", [])
    return {
        "keystrokes": result.sources.total(),
        "sources": dict(result.sources),
        "answered_without_engine": round(answered / max(1, result.sources.total()), 3),
        "outcomes": dict(result.reasons),
        "engine_requests": len(result.prefilled),
        "prefilled_p50": median(result.prefilled or [0]),
        "prefilled_p90": round(_p90(result.prefilled), 1),
        "known_ms_p50": round(median(known or [0]), 3),
        "known_ms_max": round(max(known or [0]), 3),
        "engine_ms_p50": round(median(asked or [0]), 1),
        "accepts": len(result.accept_ms),
        "accept_sources": dict(result.accept_sources),
        "accept_ms_p50": round(median(result.accept_ms or [0]), 2),
        "accept_ms_p90": round(_p90(result.accept_ms), 1),
        "checked": result.checked,
        "different": len(result.different),
    }


async def run(options: argparse.Namespace) -> Result:
    """Type the functions of this piece, then accept in them."""
    settings = replace(load_settings(environ={}), pair=options.pair)
    typist, result = Typist(settings), Result()
    first, count = getattr(options, "from"), options.functions
    try:
        for function in list(functions())[first : first + count]:
            if options.interval_ms:
                await type_in(typist, function, options.interval_ms / 1e3, options.check, result)
            await accept(typist, function, options.idle_ms / 1e3, result)
    finally:
        typist.close()
    return result


def main() -> int:
    """Type and report."""
    parser = argparse.ArgumentParser(description="What answers each keystroke.")
    parser.add_argument("--pair", default="smollm2")
    parser.add_argument("--functions", type=int, default=50)
    parser.add_argument("--from", type=int, default=0)
    parser.add_argument("--interval-ms", type=float, default=250)
    parser.add_argument("--idle-ms", type=float, default=500)
    parser.add_argument("--check", type=int, default=0)
    result = asyncio.run(run(parser.parse_args()))
    figures = summary(result)
    table = Table("what", "result")
    for name, value in figures.items():
        table.add_row(name, str(value))
    console = Console(stderr=True)
    console.print(table)
    for line in result.different[:20]:
        console.print(line, markup=False)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
