"""What the way client → daemon → client costs besides the model.

    python -m tests.bench.bench_wire [requests]

A real daemon process answers from a script, so that what is left is ours: frames, two event loops,
the engine's thread, the prompt. Each request carries 40 kB of text and differs from the one before
by one typed character. Prints milliseconds; the last line is JSON.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from umbrella_daemon.client import DaemonClient
from umbrella_daemon.settings import load_settings

BEFORE = "".join(f"    value_{number} = compute({number}, scale=2)\n" for number in range(500))
AFTER = "".join(f"    other_{number} = compute({number}, scale=3)\n" for number in range(500))
SCRIPT = {"default": "scripted", "tokens_per_step": 16}  # bytes; about four tokens of a model
WARM_UP = 50


async def main(requests: int) -> None:
    """Ask `requests` times, one after the other, and print what it took."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "script.json").write_text(json.dumps(SCRIPT))
        os.environ["UMBRELLA_SCRIPT"] = str(Path(home) / "script.json")
        os.environ["XDG_STATE_HOME"] = home
        settings = load_settings({"pair": "scripted", "daemon": {"socket": f"{home}/u.sock"}})
        client = await DaemonClient.connect(settings, "bench_wire")
        await client.ready()
        times = []
        traces = []
        for number in range(WARM_UP + requests):
            started = time.perf_counter()
            answer = await client.complete(
                document="file:///a.py",
                version=number,
                language="python",
                path="/a.py",
                prefix=BEFORE + "x" * (number % 60),
                suffix="\n" + AFTER,
            )
            times.append((time.perf_counter() - started) * 1e3)
            assert answer.text == "scripted", answer
            traces.append(answer.trace.ms)
        await client.stop()
    spread = statistics.quantiles(times[WARM_UP:], n=100)
    result = {
        "requests": requests,
        "text_kb": round(len(BEFORE + AFTER) / 1e3),
        "p50_ms": round(spread[49], 3),
        "p95_ms": round(spread[94], 3),
        "p99_ms": round(spread[98], 3),
        "max_ms": round(max(times[WARM_UP:]), 3),
    }
    for stage in traces[-1]:
        middle = statistics.median(trace[stage] for trace in traces[WARM_UP:])
        print(f"{stage:>12} {middle:.3f} ms")
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
