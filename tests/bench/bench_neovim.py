"""From a key to the ghost text on the screen of a real Neovim, and what the plugin costs to load.

    python -m tests.bench.bench_neovim [keystrokes]

A client of Neovim's interface presses a key and stops the clock at the flush that paints the ghost
text for it. The engine answers at once from a script, so that what is left is the editor, the
plugin, the language server and the daemon. "ours" is the plugin's own front end, "built_in" is
vim.lsp.inline_completion of Neovim 0.12. Milliseconds; the last line is JSON.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.neovim import bootstrap
from tests.e2e.neovim.conftest import world
from tests.e2e.neovim.session import BUILT_IN, SETUP, TIMED, Neovim, neovim
from tests.editor import isolated

WARM_UP = 5
GHOST = "<ghost>"
NAMESPACES = {SETUP: "umbrella", BUILT_IN: "nvim.lsp.inline_completion"}


def main(keystrokes: int) -> None:
    """Type, and print what it took."""
    result: dict[str, object] = {"keystrokes": keystrokes}
    for version in bootstrap.VERSIONS:
        binary = bootstrap.neovim(version)
        ways = {"ours": SETUP} | ({"built_in": BUILT_IN} if version == "0.12" else {})
        for name, init in ways.items():
            with tempfile.TemporaryDirectory() as home, opened(binary, Path(home), init) as editor:
                times = measure(editor, keystrokes)
            spread = statistics.quantiles(times, n=20)
            result[f"{version}_{name}_p50_ms"] = round(spread[9], 2)
            result[f"{version}_{name}_p95_ms"] = round(spread[18], 2)
        result[f"{version}_load_ms"] = round(statistics.median(loads(binary)), 2)
    for label, value in result.items():
        print(f"{label:>22} {value}")
    print(json.dumps(result))


@contextmanager
def opened(binary: Path, home: Path, init: str) -> Iterator[Neovim]:
    """Run an editor in insert mode whose server is ready."""
    with (
        world(home, {"default": GHOST}) as environment,
        neovim(binary, environment, init) as editor,
    ):
        editor.open(home / "main.py")
        editor.type("i")
        editor.see(GHOST, NAMESPACES[init])
        yield editor


def measure(editor: Neovim, keystrokes: int) -> list[float]:
    """Give the milliseconds of each key; what it types never continues the ghost text."""
    times = []
    for number in range(WARM_UP + keystrokes):
        key = "abc"[number % 3]
        typed = editor.text + key
        editor.drain()
        editor.screen.painted.clear()
        started = time.perf_counter()
        editor.type(key)
        while not any(lines[0] == typed + GHOST for lines in editor.screen.painted):
            editor.screen.apply(editor.rpc.notification()[1])
        times.append((time.perf_counter() - started) * 1000)
    return times[WARM_UP:]


def loads(binary: Path, times: int = 7) -> list[float]:
    """Give the milliseconds of `setup` in init.lua, with all that it loads, Neovim's client too."""
    taken = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as home:
            environment = isolated(Path(home))
            with neovim(binary, environment, TIMED) as editor:
                taken.append(float(editor.lua("return vim.g.load_ms")))
    return taken


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
