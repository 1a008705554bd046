"""A real Neovim, driven by its API and seen through its user interface.

Keys go in as a person's would; every screen that Neovim paints is kept, so that a test can say what
was never shown. Whatever is waited for has a deadline.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e.neovim.rpc import Rpc

PLUGIN = Path(__file__).parents[3] / "editors" / "neovim"
BIN = Path(sys.executable).parent
DEADLINE_SECONDS = 10.0
ROWS, COLUMNS = 16, 72
SETUP = "require('umbrella').setup({ keymap = true })"
TIMED = f"""
local start = vim.uv.hrtime()
{SETUP}
vim.g.load_ms = (vim.uv.hrtime() - start) / 1e6
"""
BUILT_IN = """
vim.lsp.enable('umbrella')
vim.lsp.inline_completion.enable()
vim.keymap.set('i', '<Tab>', function()
  if not vim.lsp.inline_completion.get() then
    return '<Tab>'
  end
end, { expr = true })
"""
COUNTED = """
_G.asked = 0
vim.api.nvim_create_autocmd('LspRequest', { callback = function(event)
  local request = event.data.request
  if request.type == 'pending' and request.method == 'textDocument/inlineCompletion' then
    _G.asked = _G.asked + 1
  end
end })
"""
GHOST = """
local namespace = vim.api.nvim_get_namespaces()[...]
local lines, marks = {}, namespace and vim.api.nvim_buf_get_extmarks(
  0, namespace, 0, -1, { details = true }) or {}
local function add(chunks)
  local text = ''
  for _, chunk in ipairs(chunks) do
    text = text .. chunk[1]
  end
  table.insert(lines, text)
end
for _, mark in ipairs(marks) do
  if mark[4].virt_text and mark[4].virt_text_pos ~= 'eol' then
    add(mark[4].virt_text)
  end
  for _, chunks in ipairs(mark[4].virt_lines or {}) do
    add(chunks)
  end
end
return table.concat(lines, '\\n')
"""

T = TypeVar("T")


class Screen:
    """The cells of the one grid, and every state of it that was painted."""

    def __init__(self) -> None:
        self._cells = [[" "] * COLUMNS for _ in range(ROWS)]
        self.painted: list[list[str]] = []

    @property
    def lines(self) -> list[str]:
        """What is on it now."""
        return ["".join(row).rstrip() for row in self._cells]

    def apply(self, events: list[list[Any]]) -> None:
        """Follow one batch of Neovim's `redraw` events."""
        for name, *calls in events:
            for call in calls:
                if name == "grid_line":
                    self._line(*call[1:4])
                elif name == "grid_scroll":
                    self._scroll(*call[1:6])
                elif name == "grid_clear":
                    self._cells = [[" "] * COLUMNS for _ in range(ROWS)]
                elif name == "flush":
                    self.painted.append(self.lines)

    def _line(self, row: int, start: int, cells: list[list[Any]]) -> None:
        for cell in cells:
            times = cell[2] if len(cell) > 2 else 1
            self._cells[row][start : start + times] = [cell[0]] * times
            start += times

    def _scroll(self, top: int, bottom: int, left: int, right: int, rows: int) -> None:
        order = range(top, bottom - rows) if rows > 0 else range(bottom - 1, top - rows - 1, -1)
        for row in order:
            self._cells[row][left:right] = self._cells[row + rows][left:right]


class Neovim:
    """One running editor."""

    def __init__(
        self, binary: Path, environment: Mapping[str, str], init: str, plugin: Path | None = PLUGIN
    ) -> None:
        home = Path(environment["HOME"])
        found = f"vim.opt.runtimepath:prepend('{plugin}')\n" if plugin else ""
        (home / "init.lua").write_text(
            f"{found}vim.opt.swapfile = false\n"
            "vim.opt.messagesopt = 'wait:0,history:500'\n"  # nobody is here to press a key
            f"{COUNTED}\n{init}\n"
        )
        command = [str(binary), "--embed", "-i", "NONE", "-u", str(home / "init.lua")]
        self.rpc = Rpc(command, environment)
        self.screen = Screen()
        self.rpc.call("nvim_ui_attach", COLUMNS, ROWS, {"rgb": True, "ext_linegrid": True})
        self.channel: int = self.rpc.call("nvim_get_api_info")[0]

    def lua(self, code: str, *arguments: object) -> Any:
        """Run Lua code and give what it returns."""
        return self.rpc.call("nvim_exec_lua", code, arguments)

    def command(self, line: str) -> None:
        """Run an Ex command."""
        self.rpc.call("nvim_command", line)

    def type(self, keys: str) -> None:
        """Press keys, all at once."""
        self.rpc.call("nvim_input", keys)

    def drain(self) -> None:
        """Look at everything that was painted so far."""
        self.lua("vim.rpcnotify(..., 'drained')", self.channel)
        while (notification := self.rpc.notification())[0] != "drained":
            self.screen.apply(notification[1])

    def wait(self, wanted: Callable[[], T], seconds: float = DEADLINE_SECONDS) -> T:
        """Give the first value of `wanted` that is true; fails with the screen when none comes."""
        deadline = time.monotonic() + seconds
        while True:
            self.drain()
            if value := wanted():
                return value
            if time.monotonic() > deadline:
                shown = "\n".join(self.screen.lines)
                raise AssertionError(f"not within {seconds} s; the screen:\n{shown}")
            time.sleep(0.005)

    def open(self, path: Path, text: str = "", ready: str = "ready") -> None:
        """Edit a file and wait until the server says that it is ready."""
        path.write_text(text)
        self.command(f"edit {path}")
        self.wait(lambda: self.attached())
        self.wait(lambda: self.phase() == ready, seconds=30)

    def attached(self) -> bool:
        """Whether the server serves this buffer."""
        return bool(self.lua("return require('umbrella.server').client(0) ~= nil"))

    def phase(self) -> str:
        """What the server has said last."""
        return str(self.lua("return require('umbrella').status().phase"))

    def ghost(self, namespace: str = "umbrella") -> str:
        """Text that is shown and is not in the buffer, "" for none."""
        return str(self.lua(GHOST, namespace))

    def see(self, text: str, namespace: str = "umbrella") -> None:
        """Wait for exactly this ghost text."""
        self.wait(lambda: self.ghost(namespace) == text)

    def line(self, number: int = 0) -> str:
        """What a row of the screen shows."""
        self.drain()
        return self.screen.lines[number]

    @property
    def text(self) -> str:
        """The buffer."""
        return "\n".join(self.rpc.call("nvim_buf_get_lines", 0, 0, -1, False))

    @property
    def asked(self) -> int:
        """How many suggestions were asked for."""
        return int(self.lua("return _G.asked"))

    def status(self) -> dict[str, Any]:
        """What the server answers when asked for its status."""
        code = (
            "local client = require('umbrella.server').client() "
            "local answer = client and client:request_sync('umbrella/status', {}, 5000) "
            "return answer and answer.result or {}"
        )
        return dict(self.lua(code))

    def reasons(self) -> dict[str, int]:
        """Why nothing was shown, by reason."""
        return dict(self.status().get("reasons") or {})

    def close(self) -> None:
        """Leave without saving."""
        self.rpc.notify("nvim_command", "qall!")
        self.rpc.close()


@contextmanager
def neovim(
    binary: Path,
    environment: Mapping[str, str],
    init: str = SETUP,
    plugin: Path | None = PLUGIN,
) -> Iterator[Neovim]:
    """Run an editor for a while, with `plugin` on its path."""
    path = f"{BIN}{os.pathsep}{environment['PATH']}"
    surroundings = dict(environment) | {"PATH": path, "TERM": "xterm-256color"}
    editor = Neovim(binary, surroundings, init, plugin)
    try:
        yield editor
    finally:
        editor.close()
