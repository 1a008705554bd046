"""Ollama's `/api/generate`, `/api/tags` and `/api/version`."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from umbrella_daemon import __version__
from umbrella_daemon.api.desk import desk_of
from umbrella_daemon.api.errors import ApiError
from umbrella_daemon.api.fields import (
    Body,
    Count,
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
from umbrella_daemon.api.flow import Answer, Json
from umbrella_daemon.wire import Generate, Generated, Message

router: Final = APIRouter(tags=["Ollama"])

UNLIMITED: Final = (-1, -2)  # Ollama's words for as much as there is


class Options(Body):
    """How text is generated."""

    num_predict: Signed | None = None
    temperature: Temperature | None = None
    top_k: Count | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    seed: Seed | None = None
    stop: Stops = None


class GenerateRequest(Body):
    """A question, a text to continue (`raw`), or with `suffix` a hole to fill."""

    model: str | None = None
    prompt: str = ""
    suffix: str = ""
    system: str = ""
    raw: bool = False
    stream: bool = True
    options: Options | None = None
    format: str | dict[str, Any] | None = None
    images: list[str] | None = None


@dataclass
class OllamaShape:
    """Lines of JSON."""

    model: str
    media_type: str = "application/x-ndjson"

    def piece(self, index: int, piece: Generated) -> Iterable[Json]:
        """See `flow.Shape`."""
        if piece.text:
            yield self._event(piece.text) | {"done": False}
        if piece.done:
            yield self._end("", Answer(last=piece))

    def end(self, answers: Sequence[Answer]) -> Iterable[Json]:
        """See `flow.Shape`."""
        return ()

    def whole(self, answers: Sequence[Answer]) -> Json:
        """See `flow.Shape`."""
        return self._end(answers[0].text, answers[0])

    def encode(self, event: Json) -> bytes:
        """Write an event."""
        return msgspec.json.encode(event) + b"\n"

    def farewell(self) -> bytes:
        """Write nothing: the line that is "done" is the last."""
        return b""

    def _event(self, text: str) -> Json:
        now = datetime.fromtimestamp(time.time(), UTC).isoformat().replace("+00:00", "Z")
        return {"model": self.model, "created_at": now, "response": text}

    def _end(self, text: str, answer: Answer) -> Json:
        usage = answer.usage
        return self._event(text) | {
            "done": True,
            "done_reason": answer.last.finish,
            "context": [],
            "total_duration": int(usage.ms * 1e6),
            "load_duration": 0,
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": int(usage.prompt_ms * 1e6),
            "eval_count": usage.completion_tokens,
            "eval_duration": int(usage.generate_ms * 1e6),
        }


@router.post("/api/generate", summary="Answer, continue, or fill a hole")
async def generate(request: Request, body: GenerateRequest) -> Response:
    """Answer `prompt` by the model's chat template; continue it where `raw`; fill up to `suffix`.

    Greedy unless a temperature is given. `format` and images are not supported.
    """
    desk = desk_of(request)
    if body.format or body.images:
        raise ApiError(400, "format and images are not supported; leave them out")
    model = check_model(body.model, await desk.model())
    options = body.options or Options()
    temperature = options.temperature
    one = Generate(
        0,
        **_what(body),
        max_tokens=max(1, options.num_predict)
        if options.num_predict is not None and options.num_predict not in UNLIMITED
        else 0,
        stop=stops_of(options.stop),
        seed=seed_of(options.seed),
        **sampling_of(
            desk.settings.temperature if temperature is None else temperature,
            options.top_k,
            options.top_p,
            options.min_p,
        ),
    )
    return await desk.flow.respond(request, [one], OllamaShape(model), stream=body.stream)


def _what(body: GenerateRequest) -> dict[str, Any]:
    """Give the fields of a `Generate` that say what is continued."""
    if body.suffix:
        return {"prompt": body.prompt, "suffix": body.suffix}
    if body.raw or not body.prompt:
        return {"prompt": body.prompt, "controls": True}
    system = (Message("system", body.system),) if body.system else ()
    return {"messages": (*system, Message("user", body.prompt))}


@router.get("/api/tags", summary="The models there are")
async def tags(request: Request) -> dict[str, Any]:
    """Give the resident model as the only one."""
    model = await desk_of(request).model()
    details = {
        "parent_model": "",
        "format": "safetensors",
        "family": "",
        "families": [],
        "parameter_size": "",
        "quantization_level": "",
    }
    known = {
        "name": model.name,
        "model": model.name,
        "modified_at": "1970-01-01T00:00:00Z",
        "size": 0,
        "digest": "",
        "details": details,
    }
    return {"models": [known]}


@router.get("/api/version", summary="The version of this server")
async def version() -> dict[str, str]:
    """Give Umbrella's version."""
    return {"version": __version__}
