"""Who may ask, how much, and what becomes of what nobody reads any more."""

import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.api.server import COMMAND, SECONDS, Server, serving

pytestmark = pytest.mark.e2e

SLOW = {"default": "y" * 200_000, "step_ms": 20, "tokens_per_step": 4, "fim": True}
FLOOD = {"default": "z" * 1_000_000, "tokens_per_step": 20, "step_ms": 1}


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Server]:
    """Answers that take many minutes."""
    with serving(tmp_path, SLOW) as server:
        yield server


def test_the_token_is_made_once_and_is_for_this_user_only(server: Server) -> None:
    path = server.home / "config" / "umbrella" / "api-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"Made a token, kept in {path}: {server.token}" in server.said
    assert len(server.token) > 30


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dTpw"},
        {"X-Api-Key": "wrong"},
    ],
)
def test_without_the_token_nobody_gets_in(server: Server, headers: dict[str, str]) -> None:
    for path in ("/v1/models", "/metrics", "/nothing", "/api/tags"):
        answer = httpx.get(server.address + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "umbrella api --show-token" in answer.text
    answer = httpx.post(f"{server.address}/infill", headers=headers, json={"prompt": "a"})
    assert answer.status_code == 401


def test_the_token_may_come_as_an_api_key(server: Server) -> None:
    answer = httpx.get(f"{server.address}/v1/models", headers={"X-Api-Key": server.token})
    assert answer.status_code == 200


def test_health_and_the_description_need_no_token(server: Server) -> None:
    assert httpx.get(f"{server.address}/health").json() == {"status": "ok"}
    assert "/infill" in httpx.get(f"{server.address}/openapi.json").json()["paths"]
    page = httpx.get(f"{server.address}/docs")
    assert "POST /v1/chat/completions" in page.text
    assert "http://" not in page.text.replace(server.address, "")  # nothing from elsewhere
    assert "https://" not in page.text


def test_web_pages_cannot_ask_under_another_name(server: Server) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example:80", "", "localhost@evil"):
        answer = httpx.get(f"{server.address}/v1/models", headers=server.headers | {"Host": host})
        assert answer.status_code == 403
    assert "access-control-allow-origin" not in httpx.get(f"{server.address}/health").headers


def test_large_bodies_are_refused_however_they_come(server: Server) -> None:
    large = b'{"prompt": "' + b"a" * 8_000_001 + b'"}'

    def chunks() -> Iterator[bytes]:
        for _ in range(90):
            yield b" " * 100_000

    with server.client() as client:
        for content in (large, chunks()):  # all of it is sent before the answer is read
            answer = client.post("/infill", content=content)
            assert answer.status_code == 413
            assert "api.max_body_mb" in answer.text
        assert client.get("/health").status_code == 200


MEGABYTE = b"a" * 2**20
REST = [
    pytest.param("Content-Length: 41943040", MEGABYTE * 40, b"413", id="all at once"),
    pytest.param(
        "Transfer-Encoding: chunked",
        (b"100000\r\n" + MEGABYTE + b"\r\n") * 40 + b"0\r\n\r\n",
        b"413",
        id="in chunks",
    ),
    pytest.param(
        "Transfer-Encoding: chunked",
        b"7a1201\r\n" + b"a" * 0x7A1201 + b"\r\n0\r\n\r\n",
        b"413",
        id="one byte too many",
    ),
    pytest.param(
        "Content-Length: 9000000\r\nExpect: 100-continue", b"", b"413", id="when it may come"
    ),
    pytest.param("Content-Length: 9000000", b"a", b"413", id="never"),
    pytest.param("Host: evil\r\nTransfer-Encoding: chunked", b"zz\r\n", b"400", id="malformed"),
]


@pytest.mark.parametrize(("headers", "rest", "status"), REST)
def test_a_refusal_is_read_whatever_the_body_does(
    server: Server, headers: str, rest: bytes, status: bytes
) -> None:
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        head = f"POST /infill HTTP/1.1\r\n{headers}\r\nAuthorization: Bearer {server.token}\r\n"
        head += "" if "Host:" in headers else f"Host: {host}\r\n"
        connection.sendall(head.encode() + b"\r\n" + rest)  # never cut off
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert status == b"400" or b"api.max_body_mb" in answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"a"',
        b"\xff\xfe",
        b'{"prompt": "\\ud800"}',
        b'{"prompt": NaN}',
        b'{"prompt": "a", "temperature": NaN}',
        b'{"prompt": "a", "temperature": 1e999}',
        b'{"prompt": "a", "seed": 99999999999999999999999}',
        b'{"prompt": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    ],
)
def test_what_is_no_request_is_refused(server: Server, body: bytes) -> None:
    with server.client() as client:
        for path in ("/v1/completions", "/completion"):
            answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 422), answer.text
            assert "ud800" not in answer.text


def settled(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)


def ask_by_hand(server: Server, path: str, body: dict[str, object]) -> socket.socket:
    """Send a request; what comes is not read."""
    host, port = server.address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=SECONDS)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    connection.sendall(head.encode() + content)
    return connection


PATHS: list[tuple[str, dict[str, object]]] = [
    ("/v1/completions", {"prompt": "a", "max_tokens": 100_000, "n": 2}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
    ("/infill", {"prompt": "a", "input_suffix": "b"}),
    ("/api/generate", {"prompt": "a"}),
]


@pytest.mark.parametrize("stream", [True, False])
def test_who_hangs_up_frees_the_engine(slow: Server, stream: bool) -> None:
    for path, body in PATHS:
        connection = ask_by_hand(slow, path, body | {"stream": stream})
        settled(lambda: slow.metric("requests_processing") > 0, f"{path}: the generation")
        connection.close()
        settled(lambda: slow.metric("requests_processing") == 0, f"{path}: its end")


def test_who_closes_one_direction_frees_the_engine(slow: Server) -> None:
    connection = ask_by_hand(slow, *PATHS[0])
    settled(lambda: slow.metric("requests_processing") > 0, "the generation")
    connection.shutdown(socket.SHUT_WR)
    settled(lambda: slow.metric("requests_processing") == 0, "its end")
    connection.close()


def test_who_does_not_read_is_let_go(tmp_path: Path) -> None:
    with serving(tmp_path, FLOOD, stall_seconds=0.5) as server:
        path, body = PATHS[1]
        connection = ask_by_hand(server, path, body | {"stream": True})
        settled(lambda: server.metric("requests_processing") > 0, "the generation")
        settled(lambda: server.metric("requests_processing") == 0, "its end")
        assert 0 < server.metric("tokens_predicted_total") < 900_000
        connection.close()


def test_a_killed_daemon_is_told_of_and_the_next_request_starts_another(slow: Server) -> None:
    failed: list[str] = []

    def read() -> None:
        with slow.client() as client, client.stream(
            "POST", "/v1/completions", json={"prompt": "a", "max_tokens": 9999, "stream": True}
        ) as answer:  # fmt: skip
            failed.extend(line for line in answer.iter_lines() if "error" in line)

    reading = threading.Thread(target=read)
    reading.start()
    settled(lambda: slow.metric("requests_processing") > 0, "the generation")
    os.kill(slow.daemon().pid, signal.SIGKILL)
    reading.join(SECONDS)
    assert "daemon closed the connection" in failed[0]

    def works() -> bool:
        body = {"prompt": "a", "max_tokens": 2}
        return slow.post("/v1/completions", **body).status_code == 200

    settled(works, "another daemon")


def test_nothing_that_was_asked_or_answered_is_logged(slow: Server) -> None:
    secret = "the-secret-text"
    slow.post("/v1/completions", prompt=secret, max_tokens=2, user=secret)
    slow.post("/v1/completions", prompt=secret, temperature=-1)
    slow.post("/v1/nothing", prompt=secret)
    with slow.client() as client:
        client.get(f"/v1/models/{secret}")
    logs = list((slow.home / "state").rglob("*.log"))
    assert logs
    for log in logs:
        text = log.read_text()
        assert secret not in text
        assert "yyyy" not in text
    assert any("generation for umbrella api" in log.read_text() for log in logs)


def test_without_a_token_all_programs_of_this_machine_may_ask(tmp_path: Path) -> None:
    with serving(tmp_path, {}, token="false") as server:
        assert server.token == ""
        assert httpx.get(f"{server.address}/v1/models").status_code == 200


def test_a_port_that_is_taken_is_said_plainly(server: Server, tmp_path: Path) -> None:
    port = server.address.rsplit(":", 1)[1]
    done = subprocess.run(
        [COMMAND, "api", "--port", port],
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert f"api.port = {port} cannot be had" in done.stderr
