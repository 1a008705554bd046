"""llama.cpp's `/tokenize`, `/detokenize`, `/health`, `/props` and `/metrics`."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from umbrella_daemon import __version__
from umbrella_daemon.api.desk import desk_of
from umbrella_daemon.api.fields import Body, TokenId
from umbrella_daemon.api.metrics import CONTENT_TYPE, exposition

router: Final = APIRouter(tags=["llama.cpp"])


class TokenizeRequest(Body):
    """A text."""

    content: str = ""
    parse_special: bool = True  # spellings of control tokens are control tokens
    with_pieces: bool = False


class DetokenizeRequest(Body):
    """Ids."""

    tokens: Annotated[list[TokenId], Field(default_factory=list)]


@router.post("/tokenize", summary="Text to ids")
async def tokenize(request: Request, body: TokenizeRequest) -> dict[str, Any]:
    """Give the ids of a text, with `with_pieces` also what each of them spells."""
    found = await desk_of(request).tokens(body.content, controls=body.parse_special)
    if not body.with_pieces:
        return {"tokens": list(found.ids)}
    pairs = zip(found.ids, found.pieces, strict=True)
    return {"tokens": [{"id": token, "piece": _piece(piece)} for token, piece in pairs]}


@router.post("/detokenize", summary="Ids to text")
async def detokenize(request: Request, body: DetokenizeRequest) -> dict[str, str]:
    """Give the text of ids; control tokens have none."""
    return {"content": (await desk_of(request).text(body.tokens)).text}


@router.get("/health", summary="Whether the model is there")
@router.get("/v1/health", include_in_schema=False)
async def health(request: Request) -> dict[str, str]:
    """Say "ok", or 503 while the model is being loaded; needs no token."""
    await desk_of(request).status()
    return {"status": "ok"}


@router.get("/props", summary="What is resident")
@router.get("/v1/props", include_in_schema=False)
async def props(request: Request) -> dict[str, Any]:
    """Give what clients of llama-server ask about the model."""
    desk = desk_of(request)
    model = await desk.model()
    return {
        "default_generation_settings": {
            "n_ctx": model.context_tokens,
            "params": {"temperature": desk.settings.temperature, "n_predict": -1},
        },
        "total_slots": 1,
        "model_alias": model.name,
        "model_path": model.target,
        "modalities": {"vision": False, "audio": False},
        "endpoint_slots": False,
        "endpoint_props": False,
        "endpoint_metrics": True,
        "chat_template": model.chat_template,
        "build_info": f"umbrella {__version__}",
        "is_sleeping": False,
    }


@router.get("/metrics", summary="Counters for Prometheus")
async def metrics(request: Request) -> Response:
    """Give the daemon's counters in Prometheus' text format, by llama.cpp's names."""
    return Response(exposition(await desk_of(request).status()), media_type=CONTENT_TYPE)


def _piece(piece: bytes) -> str | list[int]:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)
