"""Whether answers kept by the store are what the engine says to the same state.

Usage: python -m tests.bench.bench_store [--pair smollm2] [--functions 50] [--from 0]
       [--interval-ms 250] [--check 8]

Functions of the standard library are typed in again at a steady pace, in real time, against the
daemon's own parts in this process. As editors do, Enter also inserts the indentation of the new
line. Every Nth answer of the store (`--check N`) is held against what the engine says to the same
state afterwards. What answers keys and how fast is measured by `umbrella bench keystrokes`. The
last line is JSON; `--from` and `--functions` cut the run into pieces.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from msgspec.structs import replace
from rich.console import Console

from tests.bench.typed_functions import Function, Typist, functions, keystrokes
from umbrella_daemon.settings import load_settings


@dataclass
class Result:
    """Everything seen, of one piece of the run."""

    sources: Counter[str] = field(default_factory=Counter)  # of answers by keystroke
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
        if answer.trace.source != "store":
            continue
        kept += 1
        if kept % check == 0:
            own = await typist.engine_says(function, state)
            result.checked += 1
            if (own.text, own.reason) != (answer.text, answer.reason):
                result.different.append(f"{state[-30:]!r}: {answer.text!r} / {own.text!r}")


async def run(options: argparse.Namespace) -> Result:
    """Type the functions of this piece."""
    settings = replace(load_settings(environ={}), pair=options.pair)
    typist, result = Typist(settings), Result()
    first, count = getattr(options, "from"), options.functions
    try:
        for function in list(functions())[first : first + count]:
            await type_in(typist, function, options.interval_ms / 1e3, options.check, result)
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
    parser.add_argument("--check", type=int, default=8)
    result = asyncio.run(run(parser.parse_args()))
    console = Console(stderr=True)
    for line in result.different[:20]:
        console.print(line, markup=False)
    figures = {
        "keystrokes": result.sources.total(),
        "sources": dict(result.sources),
        "checked": result.checked,
        "different": len(result.different),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
