"""Fields that several APIs have in common, with their bounds, and what they mean to the engine."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from umbrella_daemon.api.errors import ApiError
from umbrella_daemon.wire import Model

MAX_CHOICES: Final = 16
MOST: Final = 2**31 - 1
MAX_STOPS: Final = 32

Count = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[int, Field(ge=1, le=MOST)]
Signed = Annotated[int, Field(ge=-1, le=MOST)]  # -1: no limit
TokenId = Annotated[int, Field(ge=0, le=MOST)]
Temperature = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Choices = Annotated[int, Field(ge=1, le=MAX_CHOICES)]
Stops = str | Annotated[list[str], Field(max_length=MAX_STOPS)] | None


class Body(BaseModel):
    """A request; fields that are not named here are ignored, as other servers do."""

    model_config = ConfigDict(extra="ignore")


def stops_of(stop: Stops) -> tuple[str, ...]:
    """Give the texts that end an answer."""
    texts = [stop] if isinstance(stop, str) else stop or []
    return tuple(text for text in texts if text)


def seed_of(seed: int | None, choice: int = 0) -> int | None:
    """Give the seed of one of several answers; None, and -1, which llama.cpp has, are chance."""
    return None if seed is None or seed == -1 else (seed + choice) % 2**63


def sampling_of(
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    samplers: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Give the fields of a `Generate` that say how tokens are chosen.

    `samplers` are those in force, None for all; a share of 0 leaves the likeliest token alone.
    """

    def on(name: str) -> bool:
        return samplers is None or name in samplers

    if top_p == 0 and on("top_p"):
        temperature = 0.0
    return {
        "temperature": temperature,
        "top_k": max(0, top_k or 0) if on("top_k") else 0,
        "top_p": top_p if top_p and on("top_p") else 1.0,
        "min_p": (min_p or 0.0) if on("min_p") else 0.0,
    }


def check_model(asked: str | None, model: Model) -> str:
    """Give the name under which to answer; raises ApiError where another model is asked for."""
    name = (asked or "").removesuffix(":latest")
    if name in ("", "default", model.name, model.target):
        return asked or model.name
    raise ApiError(
        404,
        f"there is no model {_shortened(name)}; this server has {model.name!r} "
        "(`umbrella start --pair NAME` makes another pair resident)",
        "model_not_found",
    )


def _shortened(name: str) -> str:
    return repr(re.sub(r"[^ -~]", "?", name)[:80])
