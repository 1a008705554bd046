"""What a chat that goes on costs an editor, and the other way round.

Usage: python -m tests.bench.bench_fair [--pair smollm2] [--tokens 1000] [--pause-ms 250]
       [--dtype float32]

A daemon of its own is started. A chat of so many tokens is written alone, then again while an
editor asks at the ends of the lines of files of the standard library, `--pause-ms` after each
answer; before and afterwards the editor asks alone, in the same places of texts that differ in
their first line, so that nothing is known of them. The last line is JSON; the exit status says
whether the editor's median stayed within 1.5 times that of an idle daemon and the chat said the
same both times, which is the engine's law in float32 alone: below it near-ties flip with the size
of a tree, interrupted or not.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from tests.bench.bench_pair import FILES, library_source
from umbrella_daemon import AsyncClient
from umbrella_daemon.client import DaemonClient, stop_daemon
from umbrella_daemon.settings import load_settings

MOST = 1.5  # times the idle median
CHARACTERS = 2400  # of a file; all of it fits into the prompt
PLACES = 6  # in each file
N_FILES = 5
QUESTIONS = (
    "Write a very long story about a lighthouse keeper, with at least twenty chapters.",
    "Explain how a computer works, from transistors to programs, in great detail.",
    "Describe a journey around the world in eighty days, day by day.",
)


def places(label: str) -> Iterator[tuple[str, str, str]]:
    """Give documents with prefix and suffix; texts of different labels share no beginning."""
    for file in FILES[:N_FILES]:
        text = f"# {label}\n" + library_source(file)[:CHARACTERS]
        ends = [place for place, character in enumerate(text) if character == "\n"]
        for end in ends[-2 * PLACES :: 2][:PLACES]:
            yield f"{label}-{file}", text[:end], text[end:]


async def ask(client: DaemonClient, label: str, pause: float, taken: list[float]) -> None:
    """Ask at every place; note milliseconds of those answers that the engine wrote.

    The first request of a document reads all of it and is left out.
    """
    seen = set()
    for version, (document, prefix, suffix) in enumerate(places(label)):
        began = time.perf_counter()
        answer = await client.complete(
            document=document, version=version, language="python", path=f"/{document}",
            prefix=prefix, suffix=suffix, explicit=True, context=False,
        )  # fmt: skip
        ms = (time.perf_counter() - began) * 1e3
        if document in seen and answer.trace.source == "engine":
            taken.append(ms)
        seen.add(document)
        await asyncio.sleep(pause)


async def chat(client: AsyncClient, tokens: int) -> tuple[list[str], int, float]:
    """Have questions answered until so many tokens are written; give answers, tokens, seconds."""
    began = time.perf_counter()
    answers, written = [], 0
    for question in itertools.cycle(QUESTIONS):
        if written >= tokens:
            break
        result = await client.chat(question, max_tokens=tokens - written).result()
        answers.append(result.text)
        written += max(1, result.usage.completion_tokens)
    return answers, written, time.perf_counter() - began


async def measure(
    pair: str, dtype: str, tokens: int, pause: float, socket: Path
) -> dict[str, object]:
    """Run all of it."""
    wanted = {"pair": pair, "engine": {"dtype": dtype}, "daemon": {"socket": str(socket)}}
    settings = load_settings(wanted, place="bench")
    talker = AsyncClient(settings=settings)
    editor = await DaemonClient.connect(settings, "bench")
    try:
        await editor.ready()
        await talker.chat("Hello", max_tokens=8).result()
        alone, _, alone_s = await chat(talker, tokens)
        idle: list[float] = []
        busy: list[float] = []
        await ask(editor, "before", pause, idle)
        talking = asyncio.create_task(chat(talker, tokens))
        for number in itertools.count():
            asking = asyncio.create_task(ask(editor, f"during {number}", pause, busy))
            await asyncio.wait({asking, talking}, return_when=asyncio.FIRST_COMPLETED)
            if talking.done():
                asking.cancel()
                break
        interrupted, written, interrupted_s = await talking
        await ask(editor, "after", pause, idle)
    finally:
        await editor.close()
        await talker.close()
        await stop_daemon(settings)
    return {
        "pair": pair,
        "dtype": dtype,
        "idle_p50_ms": round(median(idle), 1),
        "busy_p50_ms": round(median(busy), 1),
        "ratio": round(median(busy) / median(idle), 3),
        "idle_p90_ms": round(quantiles(idle, n=10)[8], 1),
        "busy_p90_ms": round(quantiles(busy, n=10)[8], 1),
        "idle_answers": len(idle),
        "busy_answers": len(busy),
        "chat_tokens": written,
        "chat_alone_s": round(alone_s, 1),
        "chat_interrupted_s": round(interrupted_s, 1),
        "same_chat": alone == interrupted,
    }


def main() -> int:
    """Print a table and a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pair", default="smollm2")
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--pause-ms", type=float, default=250)
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="umbrella-fair-") as folder:
        socket = Path(folder) / "d.sock"
        found = asyncio.run(
            measure(given.pair, given.dtype, given.tokens, given.pause_ms / 1e3, socket)
        )
    table = Table("", "idle", "while a chat is written")
    table.add_row("p50, ms", str(found["idle_p50_ms"]), str(found["busy_p50_ms"]))
    table.add_row("p90, ms", str(found["idle_p90_ms"]), str(found["busy_p90_ms"]))
    table.add_row("chat, s", str(found["chat_alone_s"]), str(found["chat_interrupted_s"]))
    Console(stderr=True).print(table)
    print(json.dumps(found))
    same = found["same_chat"] or given.dtype != "float32"
    return 0 if same and float(str(found["ratio"])) <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
