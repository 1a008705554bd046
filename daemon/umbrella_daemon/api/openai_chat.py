"""OpenAI's `/v1/chat/completions`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from umbrella_daemon.api.desk import desk_of
from umbrella_daemon.api.errors import ApiError
from umbrella_daemon.api.fields import (
    Body,
    Choices,
    Count,
    Positive,
    Seed,
    Share,
    Signed,
    Stops,
    Temperature,
    check_model,
    sampling_of,
    seed_of,
    stops_of,
)
from umbrella_daemon.api.flow import Answer, Json, ServerSentEvents
from umbrella_daemon.api.openai_common import StreamOptions, identity, usage_of
from umbrella_daemon.wire import Generate, Generated, Message, Token

router: Final = APIRouter(tags=["OpenAI"])


class Part(Body):
    """A part of a message."""

    type: str
    text: str | None = None


class ChatMessage(Body):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class ResponseFormat(Body):
    """Of what kind the answer is to be."""

    type: str


class ChatRequest(Body):
    """What is talked about, and how."""

    model: str | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    n_predict: Signed | None = None  # llama.cpp's name; 0 reads the prompt only
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: Count | None = None
    min_p: Share | None = None
    samplers: list[str] | None = None
    n: Choices | None = 1
    seed: Seed | None = None
    stop: Stops = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    logit_bias: dict[str, float] | None = None
    tools: list[dict[str, Any]] | None = None


@dataclass
class ChatShape(ServerSentEvents):
    """`chat.completion`, in a stream `chat.completion.chunk`."""

    model: str
    logprobs: bool
    usage: bool  # whether a stream ends with it
    head: Json = field(init=False)
    begun: set[int] = field(default_factory=set)  # answers whose role was said

    def __post_init__(self) -> None:
        """Give all events of the answer one name."""
        self.head = identity("chatcmpl", "chat.completion.chunk", self.model)

    def piece(self, index: int, piece: Generated) -> Iterable[Json]:
        """See `flow.Shape`."""
        if index not in self.begun:
            self.begun.add(index)
            yield self._event(index, {"role": "assistant", "content": ""}, None, None)
        if piece.text or piece.tokens:
            logprobs = _logprobs(piece.tokens) if self.logprobs else None
            yield self._event(index, {"content": piece.text}, logprobs, None)
        if piece.done:
            yield self._event(index, {}, None, piece.finish)

    def end(self, answers: Sequence[Answer]) -> Iterable[Json]:
        """See `flow.Shape`."""
        if self.usage:
            yield self.head | {"choices": [], "usage": usage_of(answers)}

    def whole(self, answers: Sequence[Answer]) -> Json:
        """See `flow.Shape`."""
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": one.text, "refusal": None},
                "logprobs": _logprobs(one.tokens) if self.logprobs else None,
                "finish_reason": one.last.finish,
            }
            for index, one in enumerate(answers)
        ]
        head = self.head | {"object": "chat.completion"}
        return head | {"choices": choices, "usage": usage_of(answers)}

    def _event(self, index: int, delta: Json, logprobs: Json | None, finish: str | None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self.head | {"choices": [choice]} | ({"usage": None} if self.usage else {})


def _logprobs(tokens: Iterable[Token]) -> Json:
    """Give tokens with their log-probabilities; the chosen ones alone are known."""
    content = [
        {
            "token": token.bytes.decode(errors="replace"),
            "logprob": token.logprob,
            "bytes": list(token.bytes),
            "top_logprobs": [],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


@router.post("/v1/chat/completions", summary="The assistant's next turn")
@router.post("/chat/completions", include_in_schema=False)
async def chat_completions(request: Request, body: ChatRequest) -> Response:
    """Give the assistant's next turn, by the model's own chat template.

    Greedy unless `temperature` is given. Tools, response formats other than text and `logit_bias`
    are not supported; penalties are ignored. Only the chosen tokens have log-probabilities.
    """
    desk = desk_of(request)
    _refuse(body)
    model = check_model(body.model, await desk.model())
    temperature = desk.settings.temperature if body.temperature is None else body.temperature
    sampling = sampling_of(temperature, body.top_k, body.top_p, body.min_p, body.samplers)
    generations = [
        Generate(
            0,
            messages=tuple(_turn(one) for one in body.messages),
            max_tokens=_most(body),
            stop=stops_of(body.stop),
            seed=seed_of(body.seed, choice),
            logprobs=bool(body.logprobs),
            **sampling,
        )
        for choice in range(body.n or 1)
    ]
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    shape = ChatShape(model, bool(body.logprobs), usage)
    return await desk.flow.respond(request, generations, shape, stream=bool(body.stream))


def _most(body: ChatRequest) -> int:
    """Give how many tokens may be written, 0 for as many as fit."""
    if body.n_predict == 0:
        return 1
    return body.max_completion_tokens or body.max_tokens or max(0, body.n_predict or 0)


def _turn(message: ChatMessage) -> Message:
    role = "system" if message.role == "developer" else message.role
    if message.content is None or isinstance(message.content, str):
        return Message(role, message.content or "")
    other = next((part.type for part in message.content if part.type != "text"), None)
    if other is not None:
        raise ApiError(400, "messages: the model reads text; other parts are not supported")
    return Message(role, "".join(part.text or "" for part in message.content))


def _refuse(body: ChatRequest) -> None:
    """Raise ApiError where the answer would not be what is asked for."""
    if body.tools:
        raise ApiError(400, "tools: not supported; leave them out")
    if body.logit_bias:
        raise ApiError(400, "logit_bias: not supported; leave it out")
    if body.response_format is not None and body.response_format.type != "text":
        raise ApiError(400, "response_format: only text is supported")
