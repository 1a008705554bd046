"""Other engines over HTTP, against servers of our own making."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests import bpe
from umbrella_daemon.bench.http_peers import LlamaWriter, OpenAIWriter, models, spelled
from umbrella_daemon.bench.result import BenchError
from umbrella_daemon.bench.writing import Ask


class Server:
    """Streams fixed events to every POST and notes the bodies."""

    def __init__(self, events: list[dict[str, Any]], status: int = 200) -> None:
        self.bodies: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, json.dumps({"data": [{"id": "small"}]}).encode())

            def do_POST(self) -> None:
                outer.bodies.append(
                    json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                )
                lines = [f"data: {json.dumps(event)}\n\n" for event in events]
                self._answer(status, "".join([*lines, "data: [DONE]\n\n"]).encode())

            def _answer(self, code: int, body: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def llama() -> Iterator[Server]:
    timings = {"draft_n": 6, "draft_n_accepted": 2}
    events: list[dict[str, Any]] = [
        {"tokens": [1, 2]},
        {"tokens": [3]},
        {"tokens": [4]},
        {"tokens": [], "timings": timings},
    ]
    with Server(events) as server:
        yield server


def test_llama_server_gets_the_same_tokens_and_is_timed_by_its_stream(llama: Server) -> None:
    written = LlamaWriter("x", llama.address).write(Ask([5, 6]), 9)
    assert written.tokens == [1, 2, 3, 4]
    assert written.first_tokens == 2
    assert (written.accepted, written.drafted) == (2, 6)
    assert written.steps == 2  # four tokens, two of them drafted
    assert 0 < written.first_ms <= written.total_ms
    (body,) = llama.bodies
    assert (body["prompt"], body["n_predict"], body["temperature"]) == ([5, 6], 9, 0)
    assert body["cache_prompt"] is False


def test_an_openai_server_gets_the_text_and_says_how_much_it_wrote() -> None:
    tokenizer = bpe.trained("fim")
    events: list[dict[str, Any]] = [
        {"choices": [{"text": "def "}]},
        {"choices": [{"text": "main"}]},
        {"choices": [], "usage": {"completion_tokens": 2}},
    ]
    ids = [*tokenizer.encode("a = "), min(tokenizer.stop_ids)]
    with Server(events) as server:
        assert models(server.address) == ["small"]
        written = OpenAIWriter("x", server.address, "small", tokenizer).write(Ask(ids), 7)
    assert len(written.tokens) == 2
    assert written.first_tokens == 1
    (body,) = server.bodies
    assert body["prompt"].startswith("a = <|")
    assert (body["max_tokens"], body["temperature"], body["model"]) == (7, 0, "small")


def test_control_tokens_are_spelled() -> None:
    tokenizer = bpe.trained("fim")
    fim = tokenizer.fim
    assert fim is not None
    assert spelled(tokenizer, [fim.prefix, *tokenizer.encode("x")]) == "<|fim_prefix|>x"


def test_what_does_not_answer_is_told() -> None:
    with (
        Server([{"error": "no"}], status=503) as server,
        pytest.raises(BenchError, match="answers 503"),
    ):
        LlamaWriter("x", server.address).write(Ask([1]), 2)
    with pytest.raises(BenchError, match="does not answer"):
        LlamaWriter("x", "http://127.0.0.1:9").write(Ask([1]), 2)
    with pytest.raises(BenchError, match="does not list its models"):
        models("http://127.0.0.1:9")
