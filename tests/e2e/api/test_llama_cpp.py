"""Requests as clients of llama-server send them, and the fields that they read of the answers.

The shapes are those of llama.vim (`/infill`, its warm-up, its instructions), llama.vscode (several
completions, preparation), and of clients that write the marks of a hole themselves.
"""

import json
from typing import Any

import pytest

from tests.e2e.api.server import Server

pytestmark = pytest.mark.e2e

TIMINGS = [
    f"timings/{name}_{what}"
    for name in ("prompt", "predicted")
    for what in ("n", "ms", "per_token_ms", "per_second")
]
LLAMA_VIM: dict[str, Any] = {
    "id_slot": 0,
    "input_prefix": "import os\n\n",
    "input_suffix": "\nprint(1)\n",
    "input_extra": [{"text": "x = 1\n", "time": [1, 2], "filename": "a.py"}],
    "prompt": "def ad",
    "n_predict": 128,
    "stop": [],
    "n_indent": 0,
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 1000,
    "response_fields": ["content", *TIMINGS, "tokens_cached", "truncated"],
}


def test_llama_vim_gets_the_middle_and_the_fields_it_reads(server: Server) -> None:
    answer = server.post("/infill", **LLAMA_VIM)
    assert '"content":"' in answer.text  # how it finds out that this is an answer
    found = answer.json()
    assert found["content"] == "d(a, b):\n    return a + b"
    assert set(found) == {"content", *TIMINGS, "tokens_cached", "truncated"}
    assert found["timings/predicted_n"] > 0
    assert found["timings/prompt_per_second"] >= 0


def test_llama_vims_warm_up_reads_and_writes_nothing(server: Server) -> None:
    warm_up = LLAMA_VIM | {
        "input_prefix": "", "input_suffix": "", "prompt": "", "n_predict": 0, "temperature": 0.0,
        "samplers": [], "t_max_prompt_ms": 1, "t_max_predict_ms": 1, "response_fields": [""],
    }  # fmt: skip
    answer = server.post("/infill", **warm_up)
    assert (answer.status_code, answer.json()) == (200, {})
    assert server.post("/infill", **warm_up | {"response_fields": ["content"]}).json() == {
        "content": ""
    }


def test_llama_vims_instructions_come_as_a_stream(server: Server) -> None:
    body = {
        "id_slot": 3,
        "messages": [{"role": "user", "content": "hi"}],
        "min_p": 0.1,
        "temperature": 0.1,
        "samplers": ["min_p", "temperature"],
        "stream": True,
        "cache_prompt": True,
    }
    lines = server.post("/v1/chat/completions", **body).text.splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    said = "".join(one["choices"][0]["delta"].get("content", "") for one in events)
    assert said == "Hello, you. How are you?"
    assert lines[-2:] == ["data: [DONE]", ""] or lines[-1] == "data: [DONE]"
    warm_up = body | {"n_predict": 0, "stream": False, "samplers": [], "response_fields": [""]}
    assert server.post("/v1/chat/completions", **warm_up).status_code == 200


def test_llama_vscode_gets_several_completions(server: Server) -> None:
    body = {
        "id_slot": 0,
        "input_prefix": "",
        "input_suffix": "\n",
        "input_extra": [],
        "prompt": "def ad",
        "n_predict": 128,
        "n_cmpl": 3,
        "top_k": 40,
        "top_p": 0.99,
        "stream": False,
        "samplers": ["top_k", "top_p", "infill"],
        "cache_prompt": True,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 500,
        "lora": [{"id": 0, "scale": 0.5}],
    }
    several = server.post("/infill", **body).json()
    assert [one["content"] for one in several] == ["d(a, b):\n    return a + b"] * 3
    one = server.post("/infill", **body | {"n_cmpl": 1}).json()
    assert one["content"] == "d(a, b):\n    return a + b"
    for name in ("prompt_n", "prompt_ms", "prompt_per_second", "predicted_n", "predicted_ms"):
        assert name in one["timings"]
    assert one["generation_settings"]["n_ctx"] == 2**20
    assert (one["truncated"], one["stop"], one["stop_type"]) == (False, True, "eos")
    assert one["tokens_cached"] == one["tokens_evaluated"] + one["tokens_predicted"]


def test_llama_vscode_asks_what_the_server_is(server: Server) -> None:
    with server.client() as client:
        props = client.get("/props").json()
        assert props["default_generation_settings"]["n_ctx"] == 2**20
        assert "assistant:" in props["chat_template"]
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/v1/models").json()["data"][0]["id"] == "scripted"


def test_lines_indented_less_end_the_middle(server: Server) -> None:
    body = LLAMA_VIM | {"prompt": "lines"}
    assert server.post("/infill", **body).json()["content"] == "a\n  b\nc"
    assert server.post("/infill", **body | {"n_indent": 2}).json()["content"] == "a\n  b"


def test_who_writes_the_marks_of_a_hole_gets_the_middle(server: Server) -> None:
    """As clients do that know a model's templates: marks in the text are control tokens."""
    tokens = server.post("/tokenize", content="<|fim_prefix|>a").json()["tokens"]
    assert tokens == [257, ord("a")]
    assert (
        len(
            server.post("/tokenize", content="<|fim_prefix|>a", parse_special=False).json()[
                "tokens"
            ]
        )
        > 10
    )


def test_a_completion_tells_why_it_ended(server: Server) -> None:
    found = server.post("/completion", prompt="def ad", n_predict=4, n_probs=1).json()
    assert (found["content"], found["stop_type"], found["tokens_predicted"]) == ("d(a,", "limit", 4)
    assert [one["token"] for one in found["completion_probabilities"]] == list("d(a,")
    found = server.post("/completion", prompt=["def ", 97, "d"], stop=["("]).json()
    assert (found["content"], found["stop_type"], found["stopping_word"]) == ("d", "word", "(")


def test_a_completion_comes_as_a_stream(server: Server) -> None:
    text = server.post("/completion", prompt="def ad", stream=True).text
    events = [json.loads(line[6:]) for line in text.splitlines() if line]
    assert "".join(one["content"] for one in events) == "d(a, b):\n    return a + b"
    assert [one["stop"] for one in events] == [False] * (len(events) - 1) + [True]
    assert "timings" in events[-1]


def test_text_and_ids(server: Server) -> None:
    body = {"content": "aé", "with_pieces": True}
    assert server.post("/tokenize", **body).json()["tokens"] == [
        {"id": 97, "piece": "a"},
        {"id": 0xC3, "piece": [0xC3]},
        {"id": 0xA9, "piece": [0xA9]},
    ]
    assert server.post("/detokenize", tokens=[97, 256, 98]).json() == {"content": "ab"}
    wrong = server.post("/detokenize", tokens=[999])
    assert (wrong.status_code, "no token" in wrong.text) == (400, True)


def test_grammars_are_refused(server: Server) -> None:
    assert server.post("/completion", prompt="a", grammar='root ::= "a"').status_code == 400


def test_counters_have_llama_cpps_names_and_count(server: Server) -> None:
    before = server.metric("tokens_predicted_total")
    server.post("/completion", prompt="def ad", n_predict=4)
    assert server.metric("tokens_predicted_total") == before + 4
    for name in (
        "prompt_tokens_total",
        "prompt_seconds_total",
        "n_decode_total",
        "requests_processing",
        "requests_deferred",
        "predicted_tokens_seconds",
    ):
        server.metric(name)
