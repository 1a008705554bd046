"""From a key to painted ghost text in VS Code, with a model that answers at once; and the start.

    python -m tests.bench.bench_vscode [keys]

A line is typed in the real editor, in a headless browser; each key makes the suggestion before it
wrong, so that a new one has to come all the way from the daemon. VS Code itself waits 50 ms after a
key before it asks. Times are the page's own, from `keydown` until the frame with the text is
painted. Then windows are opened: "activation" is what VS Code shows for the extension, and beside
it for one that does nothing, as all wait for each other; "loaded" is what the extension has logged
until its last part was there, the server's start begun. The last line is JSON. `make e2e` brings
what is needed.
"""

import asyncio
import json
import re
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.vscode.bootstrap import prepare
from tests.e2e.vscode.browser import start_browser
from tests.e2e.vscode.server import Server
from tests.e2e.vscode.window import Window, new_page
from tests.e2e.vscode.world import World

if TYPE_CHECKING:
    from playwright.async_api import Browser

TYPED = "total price of all items in every basket of the shop is the sum of their prices"
FLOOR_MS = 50  # what VS Code waits by itself
WARM_UP = 10
LOADED = re.compile(r"\[info\] loaded in (\d+) ms")
EMPTY = {  # loaded right after ours
    "name": "umbrella-nothing",
    "publisher": "umbrella",
    "displayName": "Empty",
    "version": "1.0.0",
    "engines": {"vscode": "^1.91.0"},
    "main": "main.js",
    "activationEvents": ["onStartupFinished"],
}
WINDOWS = 7  # opened for the start


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
        others = {"umbrella.umbrella-nothing-1.0.0": EMPTY}
        server = await Server.start(tools, Path(folder) / "code", others)
        server.forget_settings()
        try:
            async with start_browser(tools) as browser:
                window = Window(await new_page(browser), world.project())
                await window.open(server.url, "main.py")
                await window.ready()
                times = (await measure(window, keys))[WARM_UP:]
                await window.page.context.close()
                activations = [await activation(browser, server, world) for _ in range(WINDOWS)]
                loaded = [ms for text in server.logs().values() for ms in LOADED.findall(text)]
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
        "activation_ms": activations,
        "activation_p50_ms": statistics.median(ours for ours, _ in activations),
        "empty_activation_p50_ms": statistics.median(empty for _, empty in activations),
        "loaded_p50_ms": statistics.median(map(int, loaded)),
    }
    print(
        f"key to ghost text in VS Code: {result['p50_ms']} ms (p50), {result['p95_ms']} ms (p95),"
        f" of which VS Code waits {FLOOR_MS} ms"
    )
    print(json.dumps(result))


async def activation(browser: "Browser", server: Server, world: World) -> list[int]:
    """Open a window and give the milliseconds that VS Code shows: ours, and of the other one."""
    window = Window(await new_page(browser), world.project())
    await window.open(server.url, "main.py")
    await window.ready()
    await window.page.set_viewport_size({"width": 960, "height": 3000})  # room for all
    await window.run("Show Running Extensions", "Developer")
    rows = window.page.locator(".runtime-extensions-editor .extension")

    async def shown() -> list[int]:
        texts = [text.lower() for text in await rows.all_inner_texts()]
        named = [text for name in ("umbrella", "empty") for text in texts if name in text]
        return [int(ms) for text in named for ms in re.findall(r"activation: (\d+)ms", text)]

    times = await window.until("the times", shown, lambda found: len(found) == 2)
    await window.page.context.close()
    return times


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
