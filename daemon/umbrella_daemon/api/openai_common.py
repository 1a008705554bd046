"""What OpenAI's completions and chat completions have in common."""

import secrets
import time
from collections.abc import Sequence

from umbrella_daemon.api.fields import Body
from umbrella_daemon.api.flow import Answer, Json


class StreamOptions(Body):
    """What a stream holds besides text."""

    include_usage: bool | None = False


def identity(prefix: str, kind: str, model: str) -> Json:
    """Give what every event of an answer begins with."""
    return {
        "id": f"{prefix}-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": None,
    }


def usage_of(answers: Sequence[Answer]) -> Json:
    """Count the tokens of all answers to one request; the prompt counts once for each text."""
    usages = [one.usage for one in answers]
    prompt = max((one.prompt_tokens for one in usages), default=0)
    written = sum(one.completion_tokens for one in usages)
    cached = max((one.cached_tokens for one in usages), default=0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
