"""A real llama-server for tests: `UMBRELLA_TEST_LLAMA_SERVER` names the program,
`UMBRELLA_TEST_GGUF` the model."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PROGRAM = "UMBRELLA_TEST_LLAMA_SERVER"
MODEL = "UMBRELLA_TEST_GGUF"
SECONDS = 90.0


class LlamaServer:
    """One process; after `kill` it can be started again at the same place."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "LlamaServer":
        """Start it and wait for its model."""
        command = [os.environ[PROGRAM], "--model", os.environ[MODEL], "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--ctx-size", "8192", "--parallel", "2", "--threads", "1"],
                stdout=log,
                stderr=log,
            )
        self.until(lambda: self.get("/health") == {"status": "ok"}, "a model")
        return self

    def busy(self) -> bool:
        """Whether it works on a request."""
        return any(slot["is_processing"] for slot in self.get("/slots"))

    def until(self, condition: Any, what: str) -> None:
        """Wait for something to come about."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come about in {SECONDS:.0f} s"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def get(self, path: str) -> Any:
        """Give the JSON at `path`; None while there is none."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=SECONDS) as answer:
                return json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError):
            return None
