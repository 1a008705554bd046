"""Typing against a llama-server: by way of the daemon, and by a client that asks at each key.

Usage: python -m tests.bench.bench_backend URL [--kind llama-server] [--functions 4] [--from 0]
       [--interval-ms 250]

Functions of the standard library are typed in again, in real time, twice: through the daemon's
parts with the server as backend, and with one `/infill` request for each key as llama.vim sends
them (256 lines before and 64 after the cursor, the line so far as `prompt`), the one before given
up. A key counts as answered when its answer is there before the next key; an answer may be that
there is nothing to show. The order of the two changes from function to function. The last line is
JSON.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

import httpx
from msgspec.structs import replace

from tests.bench.typed_functions import Function, Typist, functions, keystrokes
from umbrella_daemon.resident.loading import load_engine
from umbrella_daemon.settings import BackendSettings, load_settings
from umbrella_daemon.wire import Reason

LINES_BEFORE, LINES_AFTER = 256, 64
MOST_TOKENS = 64
Ask = Callable[[Function, str], Awaitable[int | None]]  # gives tokens of prompt that were computed


@dataclass
class Result:
    """What one way of asking came to."""

    keys: int = 0
    answer_ms: list[float] = field(default_factory=list)  # of those that came in time
    computed: list[int] = field(default_factory=list)  # tokens of prompt, by request that told

    def figures(self) -> dict[str, float]:
        """Sum it up."""
        late = [float("inf")] * (self.keys - len(self.answer_ms))
        return {
            "keys": self.keys,
            "in_time": round(len(self.answer_ms) / max(1, self.keys), 3),
            "ms_p50_of_those": round(median(self.answer_ms or [0]), 1),
            "ms_p50_of_all": round(median([*self.answer_ms, *late] or [0]), 1),
            "computed_p50": median(self.computed or [0]),
            "computed_p90": round(quantiles(self.computed or [0, 0], n=10)[-1], 1),
        }


class PlainClient:
    """Asks the server for each key."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(timeout=120, trust_env=False)
        self._url = url

    async def ask(self, function: Function, typed: str) -> int | None:
        """Give tokens of prompt that were computed, once all of the answer is there."""
        before, _, line = (function.before + typed).rpartition("\n")
        body = {
            "input_prefix": "".join(_lines(before + "\n")[-LINES_BEFORE:]),
            "input_suffix": "".join(_lines(function.after)[:LINES_AFTER]),
            "prompt": line,
            "n_predict": MOST_TOKENS,
            "n_indent": len(line) - len(line.lstrip()),
            "top_k": 40,
            "top_p": 0.9,
            "samplers": ["top_k", "top_p", "infill"],
            "cache_prompt": True,
            "t_max_predict_ms": 1000,
        }
        answer = (await self._client.post(f"{self._url}/infill", json=body)).json()
        return int(answer["timings"]["prompt_n"])

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


async def type_in(function: Function, interval: float, ask: Ask, result: Result) -> None:
    """Type one function; the first request, which reads the file, does not count."""
    await ask(function, "")
    typed, due = "", time.perf_counter() + interval
    running: asyncio.Task[int | None] | None = None
    for key in keystrokes(function.text):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        due += interval
        if running is not None and not running.done():
            running.cancel()
        typed += key
        result.keys += 1
        running = asyncio.ensure_future(_timed(ask, function, typed, result))
    if running is not None:
        await asyncio.wait([running], timeout=max(0.0, due - time.perf_counter()))
        running.cancel()


async def _timed(ask: Ask, function: Function, typed: str, result: Result) -> int | None:
    began = time.perf_counter()
    computed = await ask(function, typed)
    result.answer_ms.append((time.perf_counter() - began) * 1e3)
    if computed is not None:
        result.computed.append(computed)
    return computed


async def run(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Type the functions both ways."""
    backend = BackendSettings(kind=options.kind, url=options.url)
    settings = replace(load_settings(environ={}), backend=backend)
    loaded = await asyncio.to_thread(load_engine, settings, lambda _: None)
    typist = Typist(settings, loaded)

    async def daemon(function: Function, typed: str) -> int | None:
        answer = await asyncio.shield(typist.ask(function, typed, function.after))
        if answer.reason in (Reason.SUPERSEDED, Reason.CANCELLED):
            await asyncio.Event().wait()  # no answer; the next key ends the wait
        trace = answer.trace
        return trace.prefilled_tokens if trace.source == "engine" else None

    plain = PlainClient(options.url)
    results = {"daemon": Result(), "plain": Result()}
    asks: dict[str, Ask] = {"daemon": daemon, "plain": plain.ask}
    first = getattr(options, "from")
    chosen: Sequence[Function] = list(functions())[first : first + options.functions]
    try:
        for number, function in enumerate(chosen):
            for name in sorted(asks, reverse=number % 2 == 1):
                await type_in(function, options.interval_ms / 1e3, asks[name], results[name])
    finally:
        typist.close()
        await plain.close()
    return {name: result.figures() for name, result in results.items()}


def main() -> int:
    """Type and report."""
    parser = argparse.ArgumentParser(description="A daemon before a server, or none.")
    parser.add_argument("url")
    parser.add_argument("--kind", default="llama-server")
    parser.add_argument("--functions", type=int, default=4)
    parser.add_argument("--from", type=int, default=0)
    parser.add_argument("--interval-ms", type=float, default=250)
    print(json.dumps(asyncio.run(run(parser.parse_args()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
