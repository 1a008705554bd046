"""What the way of a request costs besides the model: editor → language server → daemon → back.

    python -m tests.bench.bench_front [requests]

A document of 40 kB changes by one typed character before each request, as it does in an editor.
The daemon's engine answers at once from a script, so that what is left is ours: JSON, LSP,
following the text, two processes and two sockets, the prompt. Prints milliseconds from sending the
change to having the answer; the last line is JSON.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.editor import Editor, at, editors

URI = "file:///project/main.py"
LINES = [f"    value_{number:04} = compute({number}, scale=2)  # step\n" for number in range(900)]
LINE = 600  # the one being typed in
TYPED = "    result = compute(value_0600, scale=4) + rest[7:]"
WARM_UP = 50


async def main(requests: int) -> None:
    """Type and ask, and print what it took."""
    script = {"default": "scripted(answer)"}
    with tempfile.TemporaryDirectory() as home:
        async with editors(Path(home), script) as world:
            editor = await world.begin()
            times = await measure(editor, requests)
            daemon = await daemon_ms(editor)
    spread = statistics.quantiles(times, n=100)
    result = {
        "requests": requests,
        "document_kb": round(sum(map(len, LINES)) / 1000),
        "p50_ms": round(spread[49], 3),
        "p95_ms": round(spread[94], 3),
        "p99_ms": round(spread[98], 3),
        "max_ms": round(max(times), 3),
        "daemon_p50_ms": round(daemon, 3),
    }
    for name, value in result.items():
        print(f"{name:>16} {value}")
    print(json.dumps(result))


async def measure(editor: Editor, requests: int) -> list[float]:
    """Give the milliseconds of each request."""
    editor.open(URI, "".join(LINES))
    times = []
    column = 0
    for number in range(WARM_UP + requests):
        started = time.perf_counter()
        editor.type(URI, number + 2, LINE, column, TYPED[column])
        column += 1
        reply = await editor.ask("textDocument/inlineCompletion", at(URI, LINE, column))
        times.append((time.perf_counter() - started) * 1000)
        assert reply["result"]["items"], "the engine answers always"
        if column == len(TYPED):
            start, end = {"line": LINE, "character": 0}, {"line": LINE, "character": column}
            document = {"uri": URI, "version": number + 2}
            change = {"range": {"start": start, "end": end}, "text": ""}
            params = {"textDocument": document, "contentChanges": [change]}
            editor.notify("textDocument/didChange", params)
            column = 0
    return times[WARM_UP:]


async def daemon_ms(editor: Editor) -> float:
    """Give the median of what the daemon took of it."""
    traces = (await editor.request("umbrella/status", {"traces": 200}))["daemon"]["traces"]
    return float(statistics.median(trace["ms"]["total"] for trace in traces))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
