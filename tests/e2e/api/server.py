"""A real `umbrella api` process over a real daemon with canned answers."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.editor import Message, isolated
from umbrella_daemon.wire import Status

COMMAND = str(Path(sys.executable).with_name("umbrella"))
SECONDS = 60.0


@dataclass
class Server:
    """A running server and how to ask it."""

    address: str
    token: str
    home: Path
    environment: dict[str, str]
    process: "subprocess.Popen[str]"
    said: str  # when it started

    @property
    def headers(self) -> dict[str, str]:
        """What lets one in."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def client(self) -> httpx.Client:
        """Give a client that knows the token."""
        return httpx.Client(base_url=self.address, headers=self.headers, timeout=SECONDS)

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Ask once."""
        with self.client() as client:
            return client.post(path, json=body)

    def daemon(self) -> Status:
        """Give the state of the daemon behind it."""
        done = subprocess.run(
            [COMMAND, "status", "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        return msgspec.json.decode(done.stdout.encode(), type=Status)

    def metric(self, name: str) -> float:
        """Read one of the server's counters."""
        with self.client() as client:
            text = client.get("/metrics").text
        found = re.search(rf"^llamacpp:{name} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])


@contextlib.contextmanager
def serving(home: Path, script: Message, **settings: object) -> Iterator[Server]:
    """Serve until the block ends; `settings` are those of section `api`."""
    environment = isolated(home, script) | {
        f"UMBRELLA_API__{key.upper()}": str(value) for key, value in settings.items()
    }
    process = subprocess.Popen(
        [COMMAND, "api", "--port", "0"],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    said = ""
    try:
        assert process.stdout is not None
        while not (found := re.search(r"Serving (http://\S+)", said)):
            line = process.stdout.readline()
            assert line, f"the server ended: {said}"
            said += line
        path = home / "config" / "umbrella" / "api-token"
        token = path.read_text().strip() if path.exists() else ""
        server = Server(found[1], token, home, environment, process, said)
        _wait_until_ready(server)
        yield server
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=SECONDS)
        subprocess.run(
            [COMMAND, "stop"], env=environment, timeout=SECONDS, check=True, capture_output=True
        )
    assert "Traceback" not in rest, rest


def _wait_until_ready(server: Server) -> None:
    with server.client() as client:
        for _ in range(600):
            if client.get("/health").status_code == 200:
                return
            assert server.process.poll() is None
            time.sleep(0.05)
    raise AssertionError("the model did not load")
