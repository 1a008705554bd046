"""The completion server of `tests.upstream_server` as tests handle it: start, tell, kill, look."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SECONDS = 20.0
ROOT = Path(__file__).parents[1]


class UpstreamServer:
    """One server process; after `kill` it can be started again at the same place."""

    def __init__(self, **behaviour: Any) -> None:
        self.port = 0
        self._behaviour = behaviour
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it; it behaves as it was told to at first."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.upstream_server", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.tell(**self._behaviour)
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(self, **behaviour: Any) -> None:
        """Change how it behaves; see `upstream_server.Behaviour`."""
        self._ask("/test/behaviour", behaviour)

    def log(self, path: str = "") -> list[dict[str, Any]]:
        """Give what it was asked, of one path or of all."""
        entries: list[dict[str, Any]] = self._ask("/test/log", {})["log"]
        return [one for one in entries if path in ("", one["path"])]

    def pause(self) -> None:
        """Let it hang: its sockets stay open and nothing answers."""
        os.kill(self._running.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        os.kill(self._running.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does."""
        self._running.kill()
        self._running.wait()
        assert self._running.stdout is not None
        self._running.stdout.close()
        self._process = None

    def ended(self, path: str, end: str) -> dict[str, Any]:
        """Wait until a request of `path` has come to that `end`; give it."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = [one for one in self.log(path) if one["end"] == end]
            if found:
                return found[-1]
            assert time.monotonic() < deadline, f"no {path} ended so: {end}; {self.log(path)}"
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.go_on()
            self.kill()

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "it was killed"
        return self._process

    def _ask(self, path: str, body: object) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found
