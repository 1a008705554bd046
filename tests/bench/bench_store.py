"""What answers keys while real functions are typed; whether the store says what the engine does.

Usage: python -m tests.bench.bench_store [--pair smollm2] [--functions 50] [--from 0]
       [--interval-ms 250] [--idle-ms 500] [--check 8]

Functions of the standard library are typed in again at a steady pace, in real time, against the
daemon's own parts in this process. As editors do, Enter also inserts the indentation of the new
line. Every Nth answer of the store (`--check N`) is held against what the engine says to the same
state afterwards. Then suggestions are accepted whole, one after the other, each after an idle
pause. Whole sessions through the language server are measured by `umbrella bench keystrokes`. The
last line is JSON; `--from` and `--functions` cut the run into pieces.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from msgspec.structs import replace
from rich.console import Console

from tests.bench.typed_functions import Function, Typist, functions, keystrokes
from umbrella_daemon.settings import load_settings

PLACES: Final = (0.25, 0.5, 0.75)  # of a function, from which on suggestions are accepted
ACCEPTS: Final = 3


@dataclass
class Result:
    """Everything seen, of one piece of the run."""

    sources: Counter[str] = field(default_factory=Counter)  # of answers by keystroke
    prefilled: list[int] = field(default_factory=list)  # tokens, by request of the engine
    accept_ms: list[float] = field(default_factory=list)
    checked: int = 0
    different: list[str] = field(default_factory=list)


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
    kept = 0
    for state, future in answers:
        answer = await future
        result.sources[answer.trace.source] += 1
        if answer.trace.source == "engine" and answer.trace.prompt_tokens:
            result.prefilled.append(answer.trace.prefilled_tokens)
        if answer.trace.source != "store":
            continue
        kept += 1
        if kept % check == 0:
            own = await typist.engine_says(function, state)
            result.checked += 1
            if (own.text, own.reason) != (answer.text, answer.reason):
                result.different.append(f"{state[-30:]!r}: {answer.text!r} / {own.text!r}")


async def accept(typist: Typist, function: Function, idle: float, result: Result) -> None:
    """Accept suggestions whole, one after the other, from several places on."""
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


async def run(options: argparse.Namespace) -> Result:
    """Type the functions of this piece."""
    settings = replace(load_settings(environ={}), pair=options.pair)
    typist, result = Typist(settings), Result()
    first, count = getattr(options, "from"), options.functions
    try:
        for function in list(functions())[first : first + count]:
            await type_in(typist, function, options.interval_ms / 1e3, options.check, result)
            await accept(typist, function, options.idle_ms / 1e3, result)
    finally:
        typist.close()
    return result


def main() -> int:
    """Type and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pair", default="smollm2")
    parser.add_argument("--functions", type=int, default=50)
    parser.add_argument("--from", type=int, default=0)
    parser.add_argument("--interval-ms", type=float, default=250)
    parser.add_argument("--idle-ms", type=float, default=500, help="before each accept")
    parser.add_argument("--check", type=int, default=8)
    result = asyncio.run(run(parser.parse_args()))
    console = Console(stderr=True)
    for line in result.different[:20]:
        console.print(line, markup=False)
    figures = {
        "keystrokes": result.sources.total(),
        "sources": dict(result.sources),
        "answered_without_engine": round(
            1 - result.sources["engine"] / max(1, result.sources.total()), 3
        ),
        "prefilled_p50": median(result.prefilled or [0]),
        "accepts": len(result.accept_ms),
        "accept_ms_p50": round(median(result.accept_ms or [0]), 2),
        "checked": result.checked,
        "different": len(result.different),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
