"""OpenAI's `/v1/completions`; with `suffix` it fills the hole between the two."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from umbrella_daemon.api.desk import desk_of
from umbrella_daemon.api.errors import ApiError
from umbrella_daemon.api.fields import (
    MAX_CHOICES,
    Body,
    Choices,
    Count,
    Positive,
    Seed,
    Share,
    Stops,
    Temperature,
    TokenId,
    check_model,
    sampling_of,
    seed_of,
    stops_of,
)
from umbrella_daemon.api.flow import Answer, Json, ServerSentEvents
from umbrella_daemon.api.openai_common import StreamOptions, identity, usage_of
from umbrella_daemon.wire import Generate, Generated, Token

router: Final = APIRouter(tags=["OpenAI"])

Ids = Annotated[list[TokenId], Field(min_length=1)]
Prompts = str | Ids | Annotated[list[str], Field(max_length=MAX_CHOICES)] | list[Ids]


class CompletionRequest(Body):
    """What is continued, and how."""

    model: str | None = None
    prompt: Prompts = ""
    suffix: str | None = None
    max_tokens: Positive | None = 16
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: Count | None = None
    min_p: Share | None = None
    n: Choices | None = 1
    seed: Seed | None = None
    stop: Stops = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = False
    best_of: Choices | None = None
    logit_bias: dict[str, float] | None = None


@dataclass
class CompletionShape(ServerSentEvents):
    """`text_completion`."""

    model: str
    logprobs: bool
    usage: bool  # whether a stream ends with it
    head: Json = field(init=False)
    offsets: dict[int, int] = field(default_factory=dict)  # characters by answer

    def __post_init__(self) -> None:
        """Give all events of the answer one name."""
        self.head = identity("cmpl", "text_completion", self.model)

    def piece(self, index: int, piece: Generated) -> Iterable[Json]:
        """See `flow.Shape`."""
        if piece.text or piece.tokens or piece.done:
            finish = piece.finish or None
            yield self._event([self._choice(index, piece.text, piece.tokens, finish)])

    def end(self, answers: Sequence[Answer]) -> Iterable[Json]:
        """See `flow.Shape`."""
        if self.usage:
            yield self.head | {"choices": [], "usage": usage_of(answers)}

    def whole(self, answers: Sequence[Answer]) -> Json:
        """See `flow.Shape`."""
        choices = [
            self._choice(index, one.text, one.tokens, one.last.finish)
            for index, one in enumerate(answers)
        ]
        return self.head | {"choices": choices, "usage": usage_of(answers)}

    def _event(self, choices: list[Json]) -> Json:
        return self.head | {"choices": choices} | ({"usage": None} if self.usage else {})

    def _choice(self, index: int, text: str, tokens: Iterable[Token], finish: str | None) -> Json:
        logprobs = self._logprobs(index, tokens) if self.logprobs else None
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}

    def _logprobs(self, index: int, tokens: Iterable[Token]) -> Json:
        """Give tokens with their log-probabilities; the chosen ones alone are known."""
        words, chances, offsets = [], [], []
        for token in tokens:
            word = token.bytes.decode(errors="replace")
            words.append(word)
            chances.append(token.logprob)
            offsets.append(self.offsets.get(index, 0))
            self.offsets[index] = offsets[-1] + len(word)
        top = [{word: chance} for word, chance in zip(words, chances, strict=True)]
        return {
            "tokens": words,
            "token_logprobs": chances,
            "top_logprobs": top,
            "text_offset": offsets,
        }


@router.post("/v1/completions", summary="Continue a text, or fill a hole")
@router.post("/completions", include_in_schema=False)
async def completions(request: Request, body: CompletionRequest) -> Response:
    """Continue `prompt`, or with `suffix` fill the hole between the two.

    Greedy unless `temperature` is given. `echo`, `best_of` and `logit_bias` are not supported;
    penalties are ignored. Only the chosen tokens have log-probabilities.
    """
    desk = desk_of(request)
    _refuse(body)
    model = check_model(body.model, await desk.model())
    generations = list(_generations(body, desk.settings.temperature))
    if len(generations) > MAX_CHOICES:
        raise ApiError(400, f"at most {MAX_CHOICES} choices are written at once, prompts times n")
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    shape = CompletionShape(model, body.logprobs is not None, usage)
    return await desk.flow.respond(request, generations, shape, stream=bool(body.stream))


def _generations(body: CompletionRequest, temperature: float) -> Iterator[Generate]:
    wanted = temperature if body.temperature is None else body.temperature
    numbers = count()
    for what in _prompts(body.prompt):
        for _ in range(body.n or 1):
            yield Generate(
                0,
                **what,
                suffix=body.suffix or None,
                controls=True,
                max_tokens=body.max_tokens or 16,
                stop=stops_of(body.stop),
                seed=seed_of(body.seed, next(numbers)),
                logprobs=body.logprobs is not None,
                **sampling_of(wanted, body.top_k, body.top_p, body.min_p),
            )


def _prompts(prompt: Prompts) -> Iterator[dict[str, Any]]:
    if isinstance(prompt, str):
        yield {"prompt": prompt}
    elif prompt and isinstance(prompt[0], int):
        yield {"ids": tuple(prompt)}
    else:
        for one in prompt or [""]:
            yield {"prompt": one} if isinstance(one, str) else {"ids": tuple(one)}  # type: ignore[arg-type]


def _refuse(body: CompletionRequest) -> None:
    """Raise ApiError where the answer would not be what is asked for."""
    if body.echo:
        raise ApiError(400, "echo: the prompt is not repeated; leave it out")
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise ApiError(400, "best_of: not supported; ask for n choices and choose")
    if body.logit_bias:
        raise ApiError(400, "logit_bias: not supported; leave it out")
    if body.suffix and not isinstance(body.prompt, str):
        raise ApiError(400, "suffix: needs a prompt that is one text")
