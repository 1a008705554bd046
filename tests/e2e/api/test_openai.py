"""The official client of OpenAI against a real server."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.api.server import Server

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{server.address}/v1", api_key=server.token, max_retries=0
    ) as client:
        yield client


def test_the_resident_model_is_the_only_one(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["scripted"]
    assert client.models.retrieve("scripted").owned_by == "umbrella"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-4'"):
        client.models.retrieve("gpt-4")
    with pytest.raises(openai.NotFoundError) as failure:
        client.completions.create(model="gpt-4", prompt="a")
    assert failure.value.code == "model_not_found"


def test_a_text_is_continued(client: openai.OpenAI) -> None:
    done = client.completions.create(
        model="scripted", prompt="def ad", max_tokens=100, logprobs=1, stop=["\n    return"]
    )
    choice = done.choices[0]
    assert (done.object, done.model) == ("text_completion", "scripted")
    assert (choice.text, choice.finish_reason) == ("d(a, b):", "stop")
    assert choice.logprobs is not None
    assert choice.logprobs.tokens == list("d(a, b):")
    assert choice.logprobs.text_offset == list(range(8))
    assert choice.logprobs.token_logprobs == [0.0] * 8
    assert done.usage is not None
    assert done.usage.prompt_tokens == 6
    assert done.usage.total_tokens == 6 + done.usage.completion_tokens


def test_a_suffix_makes_it_a_hole(client: openai.OpenAI) -> None:
    done = client.completions.create(
        model="scripted", prompt="x = 1\ndef ad", suffix="\nprint(1)", max_tokens=100
    )
    assert done.choices[0].text == "d(a, b):\n    return a + b"
    assert done.usage is not None
    assert done.usage.prompt_tokens > len("x = 1\ndef ad")  # the text behind it and the marks


def test_prompts_and_choices_are_numbered(client: openai.OpenAI) -> None:
    done = client.completions.create(model="scripted", prompt=["def ad", "a"], n=2, max_tokens=4)
    assert [(one.index, one.text) for one in done.choices] == [
        (0, "d(a,"), (1, "d(a,"), (2, "scri"), (3, "scri"),
    ]  # fmt: skip
    assert {one.finish_reason for one in done.choices} == {"length"}
    ids = client.completions.create(model="scripted", prompt=list(b"def ad"), max_tokens=4)
    assert ids.choices[0].text == "d(a,"


def test_a_text_comes_as_a_stream(client: openai.OpenAI) -> None:
    stream = client.completions.create(
        model="scripted", prompt="€", max_tokens=100, stream=True,
        stream_options={"include_usage": True}, seed=3,
    )  # fmt: skip
    events = list(stream)
    assert "".join(one.choices[0].text for one in events if one.choices) == "🙂🙂"
    assert [one.choices[0].finish_reason for one in events if one.choices][-1] == "stop"
    assert events[-1].usage is not None
    assert events[-1].usage.completion_tokens == len("🙂🙂".encode())
    assert len({one.id for one in events}) == 1


def test_a_conversation_goes_on(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": "hi"}], logprobs=True
    )
    choice = done.choices[0]
    assert choice.message.role == "assistant"
    assert choice.message.content == "Hello, you. How are you?"
    assert choice.finish_reason == "stop"
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    spelled = b"".join(bytes(one.bytes or []) for one in choice.logprobs.content)
    assert spelled.decode() == choice.message.content


def test_parts_of_text_are_one_message(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    done = client.chat.completions.create(
        model="scripted",
        messages=[{"role": "user", "content": parts}],  # type: ignore[list-item,misc]
        max_completion_tokens=5,
        n=2,
        seed=1,
    )
    assert [one.message.content for one in done.choices] == ["Hello", "Hello"]
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    with pytest.raises(openai.BadRequestError, match="the model reads text"):
        client.chat.completions.create(
            model="scripted",
            messages=[{"role": "user", "content": [image]}],  # type: ignore[list-item,misc]
        )


def test_a_conversation_comes_as_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="scripted", messages=[{"role": "user", "content": "hi"}], stream=True, stop="you?"
    ) as stream:
        events = list(stream)
    assert events[0].choices[0].delta.role == "assistant"
    said = "".join(one.choices[0].delta.content or "" for one in events)
    assert said == "Hello, you. How are "
    assert events[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": -1},
        {"top_p": 2},
        {"n": 0},
        {"max_tokens": 0},
        {"extra_body": {"echo": True}},
        {"logit_bias": {"1": 3}},
        {"best_of": 3},
        {"stop": ["a"] * 99},
        {"seed": 2**70},
    ],
)
def test_bad_fields_are_named(client: openai.OpenAI, more: dict[str, object]) -> None:
    with pytest.raises((openai.BadRequestError, openai.UnprocessableEntityError)) as failure:
        client.completions.create(model="scripted", prompt="a", **more)  # type: ignore[call-overload]
    name = next(iter(more.get("extra_body", more)))  # type: ignore[call-overload]
    assert name in str(failure.value)


def test_what_does_not_fit_is_said_plainly(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="shorten it"):
        client.completions.create(model="scripted", prompt="a" * (2**20 + 5))


def test_what_is_not_supported_is_refused(client: openai.OpenAI) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"tools": [tool]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "text"),
    ]
    for more, said in wrong:
        with pytest.raises(openai.BadRequestError, match=said):
            client.chat.completions.create(
                model="scripted", messages=[{"role": "user", "content": "hi"}], **more
            )
