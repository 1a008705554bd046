"""llama.cpp's `/infill` and `/completion`, with the fields that its clients read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from umbrella_daemon.api.desk import Desk, desk_of
from umbrella_daemon.api.errors import ApiError
from umbrella_daemon.api.fields import (
    Body,
    Choices,
    Count,
    Seed,
    Share,
    Signed,
    Stops,
    Temperature,
    TokenId,
    sampling_of,
    seed_of,
    stops_of,
)
from umbrella_daemon.api.flow import Answer, Json, ServerSentEvents
from umbrella_daemon.wire import Finish, Generate, Generated, Snippet, Token, Usage

router: Final = APIRouter(tags=["llama.cpp"])

MixedPrompt = str | TokenId | list[str | TokenId]


class LlamaBody(Body):
    """What both have in common."""

    n_predict: Signed = -1  # 0 reads the prompt into the cache, -1 writes as much as fits
    temperature: Temperature | None = None
    top_k: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    samplers: list[str] | str | None = None
    seed: Seed | None = None
    stop: Stops = None
    stream: bool = False
    n_cmpl: Choices = 1
    n_indent: Annotated[int, Field(ge=0, le=10000)] = 0
    n_probs: Count = 0
    return_tokens: bool = False
    t_max_predict_ms: Annotated[int, Field(ge=-1, le=10**9)] = -1
    t_max_prompt_ms: int = -1
    cache_prompt: bool = True
    id_slot: int = -1
    response_fields: list[str] | None = None
    grammar: str | None = None
    json_schema: dict[str, Any] | None = None


class Extra(Body):
    """A piece of another file."""

    text: str
    filename: str = ""


class InfillRequest(LlamaBody):
    """The text around a hole."""

    input_prefix: str = ""
    input_suffix: str = ""
    input_extra: Annotated[list[Extra], Field(max_length=1000, default_factory=list)]
    prompt: str = ""  # between prefix and hole: the cursor's line so far


class LlamaCompletionRequest(LlamaBody):
    """The text to continue: one, or parts of text and ids."""

    prompt: MixedPrompt = ""
    parse_special: bool = True  # spellings of control tokens are control tokens


@dataclass
class LlamaShape(ServerSentEvents):
    """llama-server's own shape."""

    model: str
    body: LlamaBody
    settings: Json  # generation_settings

    def piece(self, index: int, piece: Generated) -> Iterable[Json]:
        """See `flow.Shape`."""
        if piece.done:
            if piece.text and not self._mute:
                yield self._part(index, piece)
            answer = Answer(last=piece)
            yield self._whole(index, answer)
        elif not self._mute:
            yield self._part(index, piece)

    def end(self, answers: Sequence[Answer]) -> Iterable[Json]:
        """See `flow.Shape`."""
        return ()

    def whole(self, answers: Sequence[Answer]) -> Any:
        """See `flow.Shape`; a list where several answers were asked for."""
        found = [self._whole(index, one) for index, one in enumerate(answers)]
        return found[0] if len(found) == 1 else found

    def farewell(self) -> bytes:
        """Write nothing: the event with "stop" is the last."""
        return b""

    @property
    def _mute(self) -> bool:
        """Whether only the cache was to be filled."""
        return self.body.n_predict == 0

    def _part(self, index: int, piece: Generated) -> Json:
        event = {
            "index": index,
            "content": piece.text,
            "tokens": [token.id for token in piece.tokens] if self.body.return_tokens else [],
            "stop": False,
            "id_slot": self.body.id_slot,
            "tokens_predicted": piece.usage.completion_tokens,
            "tokens_evaluated": piece.usage.prompt_tokens,
        }
        return event | self._probabilities(piece.tokens)

    def _whole(self, index: int, answer: Answer) -> Json:
        usage, last = answer.usage, answer.last
        text = "" if self._mute else answer.text
        found: Json = {
            "index": index,
            "content": text,
            "tokens": [token.id for token in answer.tokens] if self.body.return_tokens else [],
            "id_slot": self.body.id_slot,
            "stop": True,
            "model": self.model,
            "tokens_predicted": usage.completion_tokens,
            "tokens_evaluated": usage.prompt_tokens,
            "generation_settings": self.settings,
            "prompt": "",  # what was asked is not sent back
            "has_new_line": "\n" in text,
            "truncated": False,
            "stop_type": _stop_type(last),
            "stopping_word": last.stopped_by,
            "tokens_cached": usage.prompt_tokens + usage.completion_tokens,
            "timings": timings(usage),
        }
        found |= self._probabilities(answer.tokens)
        return found if not self.body.response_fields else nested(found, self.body.response_fields)

    def _probabilities(self, tokens: Iterable[Token]) -> Json:
        if not self.body.n_probs:
            return {}
        known = [
            {
                "id": token.id,
                "token": token.bytes.decode(errors="replace"),
                "bytes": list(token.bytes),
                "logprob": token.logprob,
                "top_logprobs": [],
            }
            for token in tokens
        ]
        return {"completion_probabilities": known}


def timings(usage: Usage) -> Json:
    """Give what a generation took, by llama.cpp's names: counts, milliseconds, tokens a second."""
    read = usage.prompt_tokens - usage.cached_tokens
    found: Json = {"cache_n": usage.cached_tokens}
    for name, tokens, ms in (
        ("prompt", read, usage.prompt_ms),
        ("predicted", usage.completion_tokens, usage.generate_ms),
    ):
        found |= {
            f"{name}_n": tokens,
            f"{name}_ms": ms,
            f"{name}_per_token_ms": ms / tokens if tokens else 0.0,
            f"{name}_per_second": tokens / ms * 1e3 if ms else 0.0,
        }
    if usage.drafted_tokens:
        found |= {"draft_n": usage.drafted_tokens, "draft_n_accepted": usage.accepted_tokens}
    return found


def nested(found: Json, paths: Sequence[str]) -> Json:
    """Give only the fields at `paths`, under these names: "timings/prompt_n" is one of them."""
    chosen: Json = {}
    for path in paths:
        value: Any = found
        for part in path.split("/"):
            if not isinstance(value, dict) or part not in value:
                break
            value = value[part]
        else:
            chosen[path] = value
    return chosen


@router.post("/infill", summary="Fill the hole at a cursor")
async def infill(request: Request, body: InfillRequest) -> Response:
    """Give what goes between `input_prefix` + `prompt` and `input_suffix`, as the model writes it.

    Greedy unless `temperature` is given. The prompt is laid out as for editors, within the windows
    of the settings, so it never overflows.
    """
    desk = desk_of(request)
    snippets = tuple(Snippet(one.filename or "context", one.text) for one in body.input_extra)
    what = {
        "prompt": body.input_prefix + body.prompt,
        "suffix": body.input_suffix,
        "snippets": snippets,
    }
    return await _respond(request, desk, body, what)


@router.post("/completion", summary="Continue a text")
async def completion(request: Request, body: LlamaCompletionRequest) -> Response:
    """Continue `prompt`; spellings of control tokens in it are such, as with llama-server."""
    desk = desk_of(request)
    controls = body.parse_special
    if isinstance(body.prompt, str):
        return await _respond(request, desk, body, {"prompt": body.prompt, "controls": controls})
    parts = body.prompt if isinstance(body.prompt, list) else [body.prompt]
    ids: list[int] = []
    for part in parts:
        if isinstance(part, int):
            ids.append(part)
        else:
            ids += (await desk.tokens(part, controls=controls)).ids
    return await _respond(request, desk, body, {"ids": tuple(ids)})


async def _respond(request: Request, desk: Desk, body: LlamaBody, what: dict[str, Any]) -> Response:
    if body.grammar or body.json_schema:
        raise ApiError(400, "grammar and json_schema are not supported; leave them out")
    model = await desk.model()
    temperature = desk.settings.temperature if body.temperature is None else body.temperature
    samplers = body.samplers if isinstance(body.samplers, list) else None
    sampling = sampling_of(temperature, body.top_k, body.top_p, body.min_p, samplers)
    generations = [
        Generate(
            0,
            **what,
            max_tokens=max(0, body.n_predict) or (1 if body.n_predict == 0 else 0),
            stop=stops_of(body.stop),
            seed=seed_of(body.seed, choice),
            max_ms=max(0, body.t_max_predict_ms),
            min_indent=body.n_indent,
            logprobs=bool(body.n_probs or body.return_tokens),
            **sampling,
        )
        for choice in range(body.n_cmpl)
    ]
    settings = {
        **sampling,
        "n_ctx": model.context_tokens,
        "n_predict": body.n_predict,
        "seed": -1 if body.seed is None else body.seed,
        "stop": list(stops_of(body.stop)),
        "stream": body.stream,
        "n_probs": body.n_probs,
        "samplers": samplers or [],
    }
    shape = LlamaShape(model.name, body, settings)
    return await desk.flow.respond(request, generations, shape, stream=body.stream)


def _stop_type(last: Generated) -> str:
    if last.stopped_by:
        return "word"
    return "limit" if last.finish == Finish.LENGTH else "eos"
