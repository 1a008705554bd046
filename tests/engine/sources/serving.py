"""A real file server on a free port: byte ranges, an index for pip, and faults on request."""

import hashlib
import re
import ssl
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass
class Server:
    """What is served, what goes wrong, and what was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)  # by path
    url: str = ""
    cut_after: int | None = None  # the next answer ends after so many bytes of its body
    stall_after: int | None = None  # the next answer waits for `go_on` after so many bytes
    go_on: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True  # answers Range requests
    lengths: bool = True  # says how long an answer is
    password: str = ""  # "user:word" that every request must bring
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # path, Range, Authorization

    def ranges_of(self, path: str) -> list[str]:
        return [range_ for asked, range_, _ in self.requests if asked == path]


class Handler(BaseHTTPRequestHandler):
    state: Server

    def do_GET(self) -> None:
        state = self.state
        path = self.path.partition("?")[0]
        asked, auth = self.headers.get("Range", ""), self.headers.get("Authorization", "")
        state.requests.append((path, asked, auth))
        if state.password and not auth.startswith("Basic "):
            return self._empty(401)
        body = state.files.get(path)
        if body is None:
            return self._empty(404)
        start = 0
        if asked and state.ranges:
            match = re.fullmatch(r"bytes=(\d+)-", asked)
            assert match, asked
            start = int(match[1])
            if start >= len(body):
                return self._empty(416, f"bytes */{len(body)}")
        self._send(body, start)
        return None

    def _empty(self, code: int, content_range: str = "") -> None:
        self.send_response(code)
        if code == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, body: bytes, start: int) -> None:
        state = self.state
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if state.lengths:
            self.send_header("Content-Length", str(len(body) - start))
        kind = "application/json" if self.path.startswith("/api/") else "text/html"
        self.send_header("Content-Type", kind)
        self.end_headers()
        body = body[start:]
        if state.cut_after is not None and len(body) > state.cut_after:
            body, state.cut_after = body[: state.cut_after], None
            self.close_connection = True
        if state.stall_after is not None and len(body) > state.stall_after:
            first, body, state.stall_after = (
                body[: state.stall_after],
                body[state.stall_after :],
                None,
            )
            self.wfile.write(first)
            self.wfile.flush()
            state.go_on.wait(60)
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients break connections on purpose here."""


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    """Serve on a free port, with TLS where there is a file with a certificate and its key."""
    state = Server()
    handler = type("BoundHandler", (Handler,), {"state": state})
    server = QuietServer(("127.0.0.1", 0), handler)
    state.url = f"http{'s' * bool(certificate)}://127.0.0.1:{server.server_address[1]}"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        state.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def make_wheel(path: Path, package: str, version: str, files: dict[str, bytes]) -> Path:
    """Write an installable wheel with data files."""
    name = package.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    wheel = path / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
        about = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", about)
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def publish(server: Server, wheel: Path, package: str) -> str:
    """Put a wheel on the server's index, with its metadata beside it; give the wheel's path."""
    content = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        metadata = archive.read(name)
    path = f"/files/{wheel.name}"
    server.files[path] = content
    server.files[f"{path}.metadata"] = metadata
    link = (
        f'<a href="{path}#sha256={hashlib.sha256(content).hexdigest()}" '
        f'data-core-metadata="sha256={hashlib.sha256(metadata).hexdigest()}">{wheel.name}</a>'
    )
    server.files[f"/simple/{package}/"] = f"<!DOCTYPE html><html>{link}</html>".encode()
    return path


def pip_uses(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Leave pip with these settings and no others."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(f"PIP_{name.upper()}", value)
