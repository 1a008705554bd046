"""From a key to painted ghost text in VS Code, with a model that answers at once.

    python -m tests.bench.bench_vscode [keys]

A line is typed in the real editor, in a headless browser; each key makes the suggestion before it
wrong, so that a new one has to come all the way from the daemon. VS Code itself waits 50 ms after a
key before it asks. Times are the page's own, from `keydown` to the frame in which the text is
there; the last line is JSON. `make e2e` brings what is needed.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.e2e.vscode.bootstrap import prepare
from tests.e2e.vscode.browser import start_browser
from tests.e2e.vscode.server import Server
from tests.e2e.vscode.window import Window, new_page
from tests.e2e.vscode.world import World

TYPED = "total price of all items in every basket of the shop is the sum of their prices"
FLOOR_MS = 50  # what VS Code waits by itself
WARM_UP = 10


def script(keys: int) -> dict[str, object]:
    """Answer each beginning of the line with another word."""
    answers = [{"ends_with": TYPED[:length], "text": mark(length)} for length in range(keys, 0, -1)]
    return {"answers": answers, "tokens_per_step": 64, "default": ""}


def mark(length: int) -> str:
    """Give the suggestion after so many keys; no text that is typed begins with it."""
    return f"_{length:02}"


async def main(keys: int) -> None:
    """Type, and print what it took."""
    keys += WARM_UP
    assert keys <= len(TYPED), f"the line has {len(TYPED)} keys"
    tools = await asyncio.to_thread(prepare)
    with tempfile.TemporaryDirectory(prefix="umbrella-") as folder:
        world = World(Path(folder), script(keys))
        server = await Server.start(tools, Path(folder) / "code")
        server.forget_settings()
        try:
            async with start_browser(tools) as browser:
                window = Window(await new_page(browser), world.project())
                await window.open(server.url, "main.py")
                await window.ready()
                times = (await measure(window, keys))[WARM_UP:]
        finally:
            await server.stop()
            await world.stop()
    spread = statistics.quantiles(times, n=100)
    result = {
        "keys": len(times),
        "floor_ms": FLOOR_MS,
        "p50_ms": round(spread[49], 1),
        "p95_ms": round(spread[94], 1),
        "min_ms": round(min(times), 1),
        "max_ms": round(max(times), 1),
    }
    print(
        f"key to ghost text in VS Code: {result['p50_ms']} ms (p50), {result['p95_ms']} ms (p95),"
        f" of which VS Code waits {FLOOR_MS} ms"
    )
    print(json.dumps(result))


async def measure(window: Window, keys: int) -> list[float]:
    """Give the milliseconds from each key to the frame with its suggestion."""
    times = []
    for number, key in enumerate(TYPED[:keys], start=1):
        await window.page.keyboard.type(key)
        await window.until_ghost(mark(number))
        painted = await window.until("its frame", window.painted, partial(ends, mark(number)))
        times.append(painted[-1][1] - (await window.pressed())[-1])
    return times


def ends(text: str, painted: list[tuple[str, float]]) -> bool:
    """Say whether `text` is what was painted last."""
    return bool(painted) and painted[-1][0] == text


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
