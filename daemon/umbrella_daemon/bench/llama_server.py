"""llama.cpp's server: started for a benchmark on a free port of this machine, ended after it.

The binary is the user's, given by path; Umbrella neither brings nor fetches it.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from umbrella_daemon.bench.result import BenchError

START_SECONDS: Final = 120.0  # to load the model
STOP_SECONDS: Final = 10.0
CONTEXT_TOKENS: Final = 8192
BATCH_TOKENS: Final = 1024  # as llama.cpp's own presets for completion have it
REUSE_TOKENS: Final = 256  # chunks shifted within the cache, as they have it, too


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """What to start: one slot, all of this process's cores."""

    binary: Path
    model: Path  # GGUF
    draft: Path | None = None
    threads: int = 0  # 0: llama.cpp's own choice

    def command(self, port: int) -> list[str]:
        """Give the command line."""
        words = [
            str(self.binary), "--model", str(self.model), "--host", "127.0.0.1",
            "--port", str(port), "--ctx-size", str(CONTEXT_TOKENS), "--parallel", "1",
            "--batch-size", str(BATCH_TOKENS), "--ubatch-size", str(BATCH_TOKENS),
            "--cache-reuse", str(REUSE_TOKENS), "--no-webui",
        ]  # fmt: skip
        if self.threads:
            words += ["--threads", str(self.threads)]
        if self.draft is not None:
            words += ["--model-draft", str(self.draft), "--spec-type", "draft-simple"]
        return words

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run the server; give its address once it is ready. Raises BenchError."""
        port = _free_port()
        address = f"http://127.0.0.1:{port}"
        try:
            process = subprocess.Popen(
                self.command(port),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise BenchError(f"{self.binary} cannot be started: {error.strerror}") from None
        try:
            _ready(process, address, self.command(port))
            yield address
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ready(process: "subprocess.Popen[bytes]", address: str, command: list[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BenchError(
                    f"llama-server ended with status {process.returncode} before it was ready; "
                    f"see what it says to: {' '.join(command)}"
                )
            try:
                if client.get(f"{address}/health").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise BenchError(f"llama-server was not ready after {START_SECONDS:g} s")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
