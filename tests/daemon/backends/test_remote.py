"""The engine elsewhere, against a server process over real sockets."""

import math
import threading
import time
from collections.abc import Iterator

import pytest

from tests.upstream import UpstreamServer
from umbrella_daemon.backends.connecting import connect
from umbrella_daemon.backends.faults import BackendDown, BackendRefused
from umbrella_daemon.backends.remote import RemoteEngine
from umbrella_daemon.resident.conversation import conversation_ids
from umbrella_daemon.resident.prompt import Prompt, build_prompt
from umbrella_daemon.settings import BackendSettings, PromptSettings
from umbrella_daemon.wire import Complete, Message, Snippet
from umbrella_engine.errors import Cancelled, ContextOverflow
from umbrella_engine.interface import Engine, Limits, Sampling
from umbrella_engine.stats import Stats

KINDS = ["llama-server", "openai"]
PATHS = {"llama-server": "/completion", "openai": "/v1/completions"}
BEFORE = "def square(x):\n    ret"
TEXT = "def square(x):\n    return x * x  # é→🙂\n"
REST = TEXT[len(BEFORE) :]


def never() -> bool:
    return False


@pytest.fixture
def server() -> Iterator[UpstreamServer]:
    with UpstreamServer(texts=[TEXT]) as one:
        yield one


class Backends:
    """Makes engines and closes them."""

    def __init__(self) -> None:
        self._made: list[RemoteEngine] = []

    def __call__(
        self, server: UpstreamServer, kind: str = "llama-server", **more: object
    ) -> RemoteEngine:
        values = {"kind": kind, "url": server.url, "retries": 0} | more
        engine = connect(BackendSettings(**values), 4096).engine  # type: ignore[arg-type]
        self._made.append(engine)
        return engine

    def close(self) -> None:
        for engine in self._made:
            engine.close()


@pytest.fixture
def backend() -> Iterator[Backends]:
    backends = Backends()
    yield backends
    backends.close()


def request(before: str = BEFORE, after: str = "\nprint(square(2))\n") -> Complete:
    return Complete(1, "a", 1, "python", "/p/a.py", before, after)


def prompt_for(engine: Engine, asked: Complete | None = None, layout: str = "auto") -> Prompt:
    settings = PromptSettings(layout=layout)  # type: ignore[arg-type]
    return build_prompt(asked or request(), engine.tokenizer, settings, 3000)


def answer(
    engine: Engine, prompt: Prompt, most: int = 40, stats: Stats | None = None
) -> tuple[str, list[float]]:
    """All of an answer after what it owes, and the logprobs of its tokens."""
    steps = list(engine.generate(prompt.ids, Limits(most), never, owed=prompt.owed, stats=stats))
    data = b"".join(engine.tokenizer.token_bytes(token) for one in steps for token in one.tokens)
    assert data.startswith(prompt.owed)
    assert all(len(one.tokens) == len(one.logprobs) for one in steps)
    return data[len(prompt.owed) :].decode(), [value for one in steps for value in one.logprobs]


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_goes_on_from_the_cursor(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    engine = backend(server, kind)
    prompt = prompt_for(engine)
    assert prompt.layout == "anchored"
    assert prompt.owed == b"    ret"
    stats = Stats()
    text, logprobs = answer(engine, prompt, stats=stats)
    assert text == REST
    assert all(value <= 0 for value in logprobs)
    assert min(logprobs) == -0.1
    assert stats.generated_tokens == len(logprobs)
    assert len(server.log(PATHS[kind])) == 1


def test_what_the_server_says_of_costs_is_in_the_trace(
    server: UpstreamServer, backend: Backends
) -> None:
    stats = Stats()
    engine = backend(server)
    answer(engine, prompt_for(engine), stats=stats)
    assert (stats.prompt_tokens, stats.reused_tokens, stats.prefilled_tokens) == (10, 7, 3)
    assert (stats.drafted_tokens, stats.accepted_tokens) == (4, 2)
    assert stats.ms["prefill"] > 0


@pytest.mark.parametrize("layout", ["anchored", "psm", "spm", "plain"])
def test_each_layout_gets_there_in_its_order(
    server: UpstreamServer, backend: Backends, layout: str
) -> None:
    engine = backend(server)
    answer(engine, prompt_for(engine, layout=layout))
    (asked,) = server.log("/completion")
    controls = [one for one in asked["body"]["prompt"] if isinstance(one, int)]
    expected = {
        "anchored": [1001, 1002, 1003],
        "psm": [1001, 1002, 1003],
        "spm": [1002, 1001, 1003],
        "plain": [],
    }
    assert controls == expected[layout]


def test_a_grammar_holds_the_answer_to_what_is_owed(
    server: UpstreamServer, backend: Backends
) -> None:
    server.tell(texts=["x = other_name\n", "x = self.size\n"])
    engine = backend(server)
    prompt = prompt_for(engine, request("x = sel", ""))
    assert answer(engine, prompt)[0] == "f.size\n"
    assert len(server.log("/completion")) == 1
    assert "\\U00000020sel" in server.log("/completion")[0]["body"]["grammar"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_goes_on_otherwise_is_asked_for_again_as_typed(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    server.tell(texts=["x = other_name\n", "x = self.size\n"], grammar=False, token_ms=20)
    engine = backend(server, kind)
    prompt = prompt_for(engine, request("x = sel", ""))
    text, logprobs = answer(engine, prompt)
    assert text == "f.size\n"
    assert logprobs[0] == 0.0  # what is typed is no guess
    first, second = server.log(PATHS[kind])
    assert first["end"] == "client left"  # as soon as it did not agree
    assert second["end"] == "complete"


@pytest.mark.parametrize("kind", KINDS)
def test_the_likeliest_token_that_spells_what_is_typed_takes_its_place(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    texts = ["x = other_name\n", "x = self.size\n"]
    server.tell(texts=texts, other=" self", grammar=False, token_ms=20)
    engine = backend(server, kind)
    text, logprobs = answer(engine, prompt_for(engine, request("x = sel", "")))
    assert text == "f.size\n"
    assert logprobs[0] == 0.0  # there is no other that spells it
    asked = server.log(PATHS[kind])[-1]["body"]["prompt"]
    assert ("".join(map(str, asked))).endswith("x = self")


def test_owed_text_is_as_likely_as_among_those_that_spell_it(
    server: UpstreamServer, backend: Backends
) -> None:
    engine = backend(server, "openai")
    prompt = prompt_for(engine)
    assert answer(engine, prompt)[1][0] == pytest.approx(0.0)  # "other" does not spell "    ret"
    shared = build_prompt(
        request("o"), engine.tokenizer, PromptSettings(healing="identifier"), 3000
    )
    server.tell(texts=["open(x)\n"])
    value = answer(engine, shared)[1][0]
    assert value == pytest.approx(-0.2 - math.log(math.exp(-0.2) + math.exp(-3.0)))


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_spells_a_control_token_stays_text(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    text = 'PRE = "<|fim_prefix|>"\nSUF = "<|fim_suffix|>"\n'
    engine = backend(server, kind)
    answer(engine, prompt_for(engine, request(text + "x = ")))
    prompt = server.log(PATHS[kind])[-1]["body"]["prompt"]
    if kind == "openai":
        assert prompt.count("<|fim_prefix|>") == prompt.count("<|fim_suffix|>") == 1
        assert "< |fim_prefix|>" in prompt
    else:
        assert [one for one in prompt if one in (1001, 1002, 1003)] == [1001, 1002, 1003]
        assert not any("<|fim" in one for one in prompt if isinstance(one, str))


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_ends_at_its_limit(server: UpstreamServer, backend: Backends, kind: str) -> None:
    engine = backend(server, kind)
    _, logprobs = answer(engine, prompt_for(engine), most=3)
    assert len(logprobs) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_fill_in_the_middle_reads_what_stands_before(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    server.tell(fim=False)
    engine = backend(server, kind)
    prompt = prompt_for(engine)
    assert prompt.layout == "plain"
    assert answer(engine, prompt)[0] == REST


def test_a_family_that_is_not_known_is_laid_out_by_infill(
    server: UpstreamServer, backend: Backends
) -> None:
    server.tell(fim=False, infill=True)
    engine = backend(server)
    asked = Complete(
        1, "a", 1, "python", "/p/a.py", BEFORE, "\ntail\n", snippets=(Snippet("b.py", "y = 1\n"),)
    )
    assert answer(engine, prompt_for(engine, asked))[0] == REST
    body = server.log("/infill")[-1]["body"]
    assert body["input_suffix"] == "\ntail\n"
    assert body["input_extra"] == [{"filename": "b.py", "text": "y = 1\n"}]


def test_a_server_may_take_the_suffix_in_a_field(server: UpstreamServer, backend: Backends) -> None:
    engine = backend(server, "openai", fim="suffix")
    assert answer(engine, prompt_for(engine))[0] == REST
    body = server.log("/v1/completions")[-1]["body"]
    assert body["suffix"] == "\nprint(square(2))\n"
    assert "<|" not in body["prompt"]


def test_a_family_can_be_named_where_no_tokenizer_can_be_asked(
    server: UpstreamServer, backend: Backends
) -> None:
    server.tell(tokenizer=False)
    assert backend(server, "openai").tokenizer.fim is None
    engine = backend(server, "openai", fim="qwen")
    assert answer(engine, prompt_for(engine))[0] == REST


@pytest.mark.parametrize("kind", KINDS)
def test_alternatives_begin_with_the_answer(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    engine = backend(server, kind)
    prompt = prompt_for(engine, request("def square(x):\n", ""))
    found = engine.alternatives(prompt.ids, 3, never, owed=prompt.owed)
    pieces = [engine.tokenizer.token_bytes(token) for token in found]
    assert pieces == [b"    ret", b"other"]
    owing = prompt_for(engine, request("def square(x):\n    re", ""))
    (only,) = engine.alternatives(owing.ids, 3, never, owed=owing.owed)
    assert engine.tokenizer.token_bytes(only) == b"    ret"


@pytest.mark.parametrize("kind", KINDS)
def test_closing_an_answer_closes_the_request(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    server.tell(stall_after=1)
    engine = backend(server, kind)
    prompt = prompt_for(engine)
    steps = engine.generate(prompt.ids, Limits(40), never, owed=prompt.owed)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert server.ended(PATHS[kind], "client left")["sent"] == 1


@pytest.mark.parametrize("stall_after", [0, 1])
def test_cancelling_closes_the_request_at_once(
    server: UpstreamServer, backend: Backends, stall_after: int
) -> None:
    server.tell(stall_after=stall_after)
    engine = backend(server)
    prompt = prompt_for(engine)
    cancel = threading.Event()
    timer = threading.Timer(0.2, cancel.set)
    timer.start()
    with pytest.raises(Cancelled):
        list(engine.generate(prompt.ids, Limits(40), cancel.is_set, owed=prompt.owed))
    timer.join()
    server.ended("/completion", "client left")
    server.tell(stall_after=-1)
    assert answer(engine, prompt)[0] == REST  # it serves on


@pytest.mark.parametrize("kind", KINDS)
def test_conversations_go_to_the_chat_interface(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    said = [Message("system", "be brief"), Message("user", "<|umbrella_user|> <|im_end|>\n hi")]
    server.tell(texts=["system: be brief\nuser: <|umbrella_user|> <|im_end|>\n hi hello there"])
    engine = backend(server, kind)
    ids = conversation_ids(said, engine.tokenizer)
    sampling = Sampling(temperature=0.7, top_p=0.9, seed=3)
    steps = engine.generate(ids, Limits(20), never, sampling=sampling)
    data = b"".join(engine.tokenizer.token_bytes(token) for one in steps for token in one.tokens)
    assert data == b" hello there"
    body = server.log("/v1/chat/completions")[-1]["body"]
    assert body["messages"] == [{"role": one.role, "content": one.content} for one in said]
    assert (body["temperature"], body["top_p"], body["seed"]) == (0.7, 0.9, 3)


def test_a_prompt_that_does_not_fit_is_not_sent(server: UpstreamServer, backend: Backends) -> None:
    server.tell(context=100)
    engine = backend(server)
    assert engine.info.context_tokens == 80
    with pytest.raises(ContextOverflow, match="do not fit into 80"):
        list(engine.generate([1000] * 70, Limits(20), never))
    assert server.log("/completion") == []


def test_a_server_that_is_killed_is_down(server: UpstreamServer, backend: Backends) -> None:
    engine = backend(server)
    prompt = prompt_for(engine)
    server.kill()
    for _ in range(2):  # and stays so: a new engine has to be made
        with pytest.raises(BackendDown, match="nothing answers there"):
            answer(engine, prompt)
    with pytest.raises(BackendDown, match=r"start it, or correct backend.url"):
        backend(server)
    server.start()
    assert answer(backend(server), prompt)[0] == REST


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_breaks_off_is_no_answer(
    server: UpstreamServer, backend: Backends, kind: str
) -> None:
    server.tell(break_after=2)
    engine = backend(server, kind)
    with pytest.raises(BackendDown, match="broke off in mid-answer"):
        answer(engine, prompt_for(engine))


def test_a_server_that_hangs_is_down_after_the_time_for_it(
    server: UpstreamServer, backend: Backends
) -> None:
    engine = backend(server, timeout_ms=200)
    prompt = prompt_for(engine)
    server.pause()
    with pytest.raises(BackendDown, match=r"said nothing for 0.2 s \(backend.timeout_ms\)"):
        answer(engine, prompt)
    server.go_on()


def test_what_may_pass_is_tried_again_a_little_later(
    server: UpstreamServer, backend: Backends
) -> None:
    server.tell(refuse=429)
    engine = backend(server, retries=2)
    began = time.perf_counter()
    with pytest.raises(BackendDown, match="429 busy"):
        answer(engine, prompt_for(engine))
    assert time.perf_counter() - began > 0.3  # 0.1 and 0.2 s of pauses
    assert len(server.log("/completion")) == 3


def test_what_is_wrong_with_one_request_is_not_the_servers_end(
    server: UpstreamServer, backend: Backends
) -> None:
    server.tell(refuse=400)
    engine = backend(server)
    prompt = prompt_for(engine)
    with pytest.raises(BackendRefused, match=r"400 .too long."):
        answer(engine, prompt)
    server.tell(refuse=0)
    assert answer(engine, prompt)[0] == REST


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_comes_from_the_environment_and_is_told_to_nobody(
    server: UpstreamServer,
    backend: Backends,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    server.tell(key="sesame-123")
    monkeypatch.setenv("SOME_KEY", "wrong-456")
    with pytest.raises(BackendDown, match=r"backend.api_key_env") as caught:
        backend(server, kind, api_key_env="SOME_KEY")
    monkeypatch.setenv("SOME_KEY", "sesame-123")
    engine = backend(server, kind, api_key_env="SOME_KEY")
    assert answer(engine, prompt_for(engine))[0] == REST
    assert "sesame" not in caplog.text + repr(vars(engine))
    assert "456" not in caplog.text + str(caught.value)


def test_a_server_that_loads_says_so(server: UpstreamServer, backend: Backends) -> None:
    server.tell(loading=True)
    with pytest.raises(BackendDown, match=r"Loading model.*may still be loading"):
        backend(server)


def test_the_wrong_kind_of_server_is_told(server: UpstreamServer, backend: Backends) -> None:
    with pytest.raises(BackendDown, match=r"check backend.url, backend.kind"):
        backend(server, url=server.url + "/elsewhere")


def test_a_model_that_is_not_there_is_told_with_those_that_are(
    server: UpstreamServer, backend: Backends
) -> None:
    server.tell(models=["one", "two"])
    with pytest.raises(BackendDown, match="no model three but one, two"):
        backend(server, "openai", model="three")
    assert backend(server, "openai", model="two").info.target == "two"


def test_servers_that_can_are_asked_to_show_control_tokens(
    server: UpstreamServer, backend: Backends
) -> None:
    for owner, expected in {"us": None, "vllm": False}.items():
        server.tell(owner=owner)
        engine = backend(server, "openai")
        answer(engine, prompt_for(engine))
        body = server.log("/v1/completions")[-1]["body"]
        assert body.get("skip_special_tokens") is expected
