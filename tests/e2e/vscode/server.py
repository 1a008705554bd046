"""VS Code's own server with our extension, as a process; pages in a browser are its windows."""

import asyncio
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.e2e.vscode.bootstrap import Tools

START_SECONDS: Final = 60.0
NOTHING: Final = "require('vscode');\nexports.activate = () => {};\n"
SETTINGS: Final[dict[str, Any]] = {
    "chat.disableAIFeatures": True,
    "editor.autoClosingBrackets": "never",
    "editor.inlineSuggest.enabled": True,
    "editor.minimap.enabled": False,
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.wordBasedSuggestions": "off",
    "extensions.autoUpdate": False,
    "extensions.ignoreRecommendations": True,
    "files.autoSave": "off",
    "git.enabled": False,
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "window.commandCenter": False,
    "workbench.reduceMotion": "on",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
}


class Server:
    """Runs from `start` to `stop`; `url` opens a window."""

    def __init__(self, process: asyncio.subprocess.Process, home: Path, port: int) -> None:
        self._process = process
        self.home = home
        self._settings = home / "data" / "data" / "User" / "settings.json"
        self.url = f"http://127.0.0.1:{port}/"

    @classmethod
    async def start(
        cls, tools: Tools, home: Path, others: Mapping[str, dict[str, Any]] | None = None
    ) -> "Server":
        """Start it with everything of the user's below `home`.

        `others` are manifests of more extensions, by their folders' names; a `main` that one
        names does nothing.
        """
        extensions, data = home / "extensions", home / "data"
        packed = tools.extension / "extension"
        manifest = json.loads((packed / "package.json").read_text())
        name = "{publisher}.{name}-{version}".format_map(manifest)
        shutil.copytree(packed, extensions / name)
        for other, contents in (others or {}).items():
            (extensions / other).mkdir()
            (extensions / other / "package.json").write_text(json.dumps(contents))
            if main := contents.get("main"):
                (extensions / other / main).write_text(NOTHING)
        log = home / "server.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(str(tools.node), str(tools.code / "out" / "server-main.js")),
                *("--host", "127.0.0.1", "--port", "0"),
                *("--without-connection-token", "--accept-server-license-terms"),
                *("--server-data-dir", str(data), "--extensions-dir", str(extensions)),
                *("--telemetry-level", "off", "--reconnection-grace-time", "1"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"HOME": str(home), "PATH": _path(), "VSCODE_PROXY_URI": ""},
                start_new_session=True,
            )
        return cls(process, home, await _port(process, log))

    async def stop(self) -> None:
        """End it and all that it has started."""
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        finally:
            _kill_group(self._process.pid)

    def forget_settings(self) -> None:
        """Put the user's settings back to those that tests begin with."""
        self._settings.parent.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(json.dumps(SETTINGS))

    def settings(self) -> dict[str, Any]:
        """Give the user's settings as they are now."""
        return dict(json.loads(self._settings.read_text()))

    def logs(self) -> dict[Path, str]:
        """Give all that was logged, by file."""
        folder = self.home / "data" / "data" / "logs"
        return {path: path.read_text(errors="replace") for path in folder.rglob("*.log")}


def _path() -> str:
    """Give PATH without an umbrella-lsp in it, as on the machine of a new user."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(one for one in folders if not (Path(one) / "umbrella-lsp").exists())


async def _port(process: asyncio.subprocess.Process, log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while True:
        text = await asyncio.to_thread(log.read_text, errors="replace")
        if found := re.search(r"listening on (\d+)", text):
            return int(found[1])
        assert process.returncode is None, f"VS Code's server ended:\n{text}"
        assert time.monotonic() < deadline, f"VS Code's server does not listen:\n{text}"
        await asyncio.sleep(0.05)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
