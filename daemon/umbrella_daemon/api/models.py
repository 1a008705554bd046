"""OpenAI's `/v1/models`: the resident model is the only one."""

from typing import Any, Final

from fastapi import APIRouter, Request

from umbrella_daemon.api.desk import desk_of
from umbrella_daemon.api.fields import check_model
from umbrella_daemon.wire import Status

router: Final = APIRouter(tags=["OpenAI"])


@router.get("/v1/models", summary="The models there are")
@router.get("/models", include_in_schema=False)
async def models(request: Request) -> dict[str, Any]:
    """Give the resident model."""
    return {"object": "list", "data": [_described(await desk_of(request).status())]}


@router.get("/v1/models/{name:path}", summary="One model")
async def model(request: Request, name: str) -> dict[str, Any]:
    """Give the resident model, if `name` is its name."""
    status = await desk_of(request).status()
    check_model(name, status.model)
    return _described(status)


def _described(status: Status) -> dict[str, Any]:
    known = status.model
    return {
        "id": known.name,
        "object": "model",
        "created": 0,
        "owned_by": "umbrella",
        "meta": {"n_ctx": known.context_tokens, "n_vocab": known.vocab_size, "fim": known.fim},
    }
