import json

import pytest

from tests.e2e.api.server import Server
from umbrella_daemon import __version__

pytestmark = pytest.mark.e2e


def test_a_hole_is_filled(server: Server) -> None:
    found = server.post(
        "/api/generate", model="scripted", prompt="def ad", suffix="\n", stream=False
    ).json()
    assert (found["response"], found["done"], found["done_reason"]) == (
        "d(a, b):\n    return a + b", True, "stop",
    )  # fmt: skip
    assert found["eval_count"] > 0
    assert found["total_duration"] >= found["eval_duration"] > 0


def test_a_prompt_is_a_question_unless_it_is_raw(server: Server) -> None:
    body = {"model": "scripted:latest", "stream": False}
    found = server.post("/api/generate", prompt="hi", **body).json()
    assert found["response"] == "Hello, you. How are you?"
    options = {"num_predict": 3, "temperature": 0}
    found = server.post("/api/generate", prompt="def ad", raw=True, options=options, **body).json()
    assert (found["response"], found["done_reason"]) == ("d(a", "length")


def test_lines_come_as_they_are_written(server: Server) -> None:
    answer = server.post("/api/generate", model="scripted", prompt="def ad", raw=True)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert "".join(line["response"] for line in lines) == "d(a, b):\n    return a + b"
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]


def test_what_there_is(server: Server) -> None:
    with server.client() as client:
        assert client.get("/api/tags").json()["models"][0]["name"] == "scripted"
        assert client.get("/api/version").json() == {"version": __version__}
    missing = server.post("/api/generate", model="llama3", prompt="a")
    assert missing.status_code == 404
    assert "llama3" in missing.json()["error"]
