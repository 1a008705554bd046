"""Neovim in a real terminal: tmux, which is also read as the picture of it."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.e2e.neovim.session import BIN, PLUGIN

DEADLINE_SECONDS: Final = 15.0
ROWS, COLUMNS = 14, 72
# Neovim's own dark colours
THEME: Final = TerminalTheme(
    background=(20, 22, 27),
    foreground=(224, 226, 234),
    normal=[
        *((20, 22, 27), (255, 192, 185), (179, 246, 192), (252, 224, 148)),
        *((166, 219, 255), (255, 202, 255), (140, 248, 247), (224, 226, 234)),
    ],
)
# without the fonts that rich would load from elsewhere
PICTURE: Final = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px;
  line-height: {line_height}px; }}
{styles}
</style>
<rect fill="#14161b" width="{width}" height="{height}" rx="8"/>
<g transform="translate(8, 8)" class="{unique_id}-matrix">
{backgrounds}
{matrix}
</g>
</svg>
"""


class Terminal:
    """A terminal of its own tmux server, with Neovim in it."""

    def __init__(self, binary: Path, environment: Mapping[str, str], file: Path, init: str) -> None:
        home = Path(environment["HOME"])
        (home / "init.lua").write_text(
            f"vim.opt.runtimepath:append('{PLUGIN}')\n"
            "vim.opt.swapfile = false\nvim.opt.termguicolors = true\n"
            "vim.opt.fillchars = 'eob: '\n"
            f"{init}\n"
        )
        self._environment = dict(environment) | {
            "PATH": f"{BIN}{os.pathsep}{environment['PATH']}",
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "TMUX_TMPDIR": str(home),
        }
        self._environment.pop("TMUX", None)
        editor = f"{binary} -i NONE -u {home / 'init.lua'} {file}"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", f"{COLUMNS}", "-y", f"{ROWS}", editor
        )

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names for them."""
        self._tmux("send-keys", *keys)

    def lines(self) -> list[str]:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p").splitlines()

    def wait_for(self, text: str) -> None:
        """Wait until some line of the screen is `text`, but for its spaces."""
        self._wait(lambda: text in (" ".join(line.split()) for line in self.lines()), text)

    def wait_for_file(self, path: Path, text: str) -> None:
        """Wait until a file has `text`."""
        self._wait(lambda: text in path.read_text(), text)

    def _wait(self, met: Callable[[], bool], text: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not met():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {text!r} with:\n" + "\n".join(self.lines()))
            time.sleep(0.02)

    def picture(self, path: Path) -> None:
        """Write the screen as an SVG."""
        with Path(os.devnull).open("w") as nothing:
            console = Console(record=True, width=COLUMNS, file=nothing, legacy_windows=False)
            console.print(Text.from_ansi(self._tmux("capture-pane", "-p", "-e")), end="")
            svg = console.export_svg(theme=THEME, code_format=PICTURE, unique_id="nvim")
        path.parent.mkdir(exist_ok=True)
        path.write_text(svg)

    def close(self) -> None:
        """End the terminal and what runs in it."""
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", "umbrella", *arguments]
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=True
        ).stdout


@contextmanager
def terminal(
    binary: Path, environment: Mapping[str, str], file: Path, init: str
) -> Iterator[Terminal]:
    """Open a terminal for a while."""
    one = Terminal(binary, environment, file, init)
    try:
        yield one
    finally:
        one.close()
