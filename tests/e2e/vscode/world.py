"""Projects and the daemon behind them: what lies on disk before a window is opened."""

import json
from pathlib import Path
from shlex import quote
from typing import Any, Final

from tests.editor import SERVER, Message, isolated
from umbrella_daemon.client import DaemonClient, stop_daemon
from umbrella_daemon.settings import Settings, load_settings
from umbrella_daemon.wire import Status

SCRIPT: Final[Message] = {
    "answers": [
        {"ends_with": "def add", "text": "(a, b):"},
        {"ends_with": "def ad", "text": "d(a, b):"},
        {"ends_with": "sub", "text": "total = first"},
        {"ends_with": "mean = ", "text": "a / b", "others": ["sum(a)", "mid(b)"]},
        {"ends_with": "(a, b):\n    ", "text": "result = a + b\n    return result"},
        {"ends_with": "first = 1\n\nsu", "text": "m = first + 2"},
    ],
    "default": "",
}


class World:
    """A home with a scripted daemon of its own, and programs that run in it."""

    def __init__(self, root: Path, script: Message | None = None, **variables: str) -> None:
        self.root = root
        home = root / "home"
        home.mkdir()
        self.environment = isolated(home, SCRIPT if script is None else script) | variables
        ours = {
            name: value
            for name, value in self.environment.items()
            if name == "HOME" or name.startswith(("UMBRELLA_", "XDG_"))
        }
        exports = "".join(f"export {name}={quote(value)}\n" for name, value in ours.items())
        for name in ("umbrella-lsp", "umbrella"):
            program = Path(SERVER[0]).with_name(name)
            (root / name).write_text(f'#!/bin/sh\n{exports}exec {program} "$@"\n')
            (root / name).chmod(0o755)
        self.server = root / "umbrella-lsp"
        # the same server; all that it is told is kept in the file `told`
        self.overheard = root / "overheard"
        self.told = root / "told"
        self.overheard.write_text(f'#!/bin/sh\ntee -a {self.told} | {self.server} "$@"\n')
        self.overheard.chmod(0o755)
        self._projects = 0

    def project(self, files: dict[str, str] | None = None, **settings: Any) -> Path:
        """Make a project with files and with workspace settings of Umbrella."""
        self._projects += 1
        project = self.root / f"project{self._projects}"
        for name, text in ({"main.py": ""} | (files or {})).items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        write_settings(project, **({"server.path": str(self.server)} | settings))
        return project

    @property
    def settings(self) -> Settings:
        """Settings of this world's daemon."""
        return load_settings(environ=self.environment, path=self._no_settings())

    async def daemon(self) -> Status:
        """Ask the daemon for its status."""
        client = await DaemonClient.connect(self.settings, "test", start=False)
        try:
            return await client.status()
        finally:
            await client.close()

    async def stop(self) -> None:
        """Stop the daemon, if one runs."""
        await stop_daemon(self.settings)

    def _no_settings(self) -> Path:
        path = self.root / "none.toml"
        path.touch()
        return path


def write_settings(project: Path, **settings: Any) -> None:
    """Change settings of a project, as if somebody edited the file."""
    file = project / ".vscode" / "settings.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    changed = {f"umbrella.{name}": value for name, value in settings.items()}
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(known | changed))
    temporary.rename(file)
