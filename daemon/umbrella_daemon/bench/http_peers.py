"""Other engines as writers, over HTTP: llama-server, and whatever speaks OpenAI's completions.

Answers are streamed, so that the first token is timed as the others are; our clock stands before
the request and behind each piece, and theirs is not asked.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from umbrella_daemon.bench.result import BenchError
from umbrella_daemon.bench.writing import Ask, WriterFailed, Written
from umbrella_engine.interface import Tokenizer

REQUEST_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class LlamaWriter:
    """llama-server's `/completion`, greedy, given the same token ids; the prompt is read anew."""

    name: str
    address: str

    def write(self, ask: Ask, count: int) -> Written:
        """Give at most `count` new tokens. Raises WriterFailed."""
        body = {
            "prompt": list(ask.ids),
            "n_predict": count,
            "temperature": 0,
            "samplers": ["temperature"],
            "cache_prompt": False,
            "return_tokens": True,
            "stream": True,
        }
        clock = _Clock()
        last: dict[str, Any] = {}
        for piece in _pieces(f"{self.address}/completion", body):
            clock.take(piece.get("tokens") or [])
            last = piece
        timings = last.get("timings", {})
        return clock.written(
            drafted=timings.get("draft_n"), accepted=timings.get("draft_n_accepted")
        )


@dataclass(frozen=True, slots=True)
class OpenAIWriter:
    """A server's `/v1/completions`, greedy, given the prompt's text; vLLM, SGLang, Ollama and such.

    Tokens are counted by the server where it says, else by pieces.
    """

    name: str
    address: str
    model: str
    tokenizer: Tokenizer

    def write(self, ask: Ask, count: int) -> Written:
        """Give at most `count` new tokens. Raises WriterFailed."""
        body = {
            "model": self.model,
            "prompt": spelled(self.tokenizer, ask.ids),
            "max_tokens": count,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        clock, text, counted = _Clock(), "", None
        for piece in _pieces(f"{self.address}/v1/completions", body):
            if choices := piece.get("choices"):
                clock.take([0] if choices[0].get("text") else [])
                text += choices[0].get("text") or ""
            if usage := piece.get("usage"):
                counted = usage.get("completion_tokens")
        written = clock.written()
        tokens = self.tokenizer.encode(text)
        if counted is not None and len(tokens) != counted:
            tokens = (tokens + [0] * counted)[:counted]  # spelled otherwise than it was written
        written.tokens = tokens
        return written


def models(address: str) -> list[str]:
    """Ask a server which models it has. Raises BenchError."""
    try:
        found = httpx.get(f"{address}/v1/models", timeout=REQUEST_SECONDS).raise_for_status().json()
        return [str(one["id"]) for one in found["data"]]
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise BenchError(f"{address} does not list its models ({error}); is it a server?") from None


def spelled(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Give token ids as text, control tokens as their vocabulary spells them."""
    spell = getattr(tokenizer, "spelling", lambda _: "")
    pieces = (tokenizer.token_bytes(one) or spell(one).encode() for one in ids)
    return b"".join(pieces).decode("utf-8", "replace")


class _Clock:
    """Times tokens as they come."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._first: tuple[float, int] | None = None
        self._tokens: list[int] = []
        self._steps = 0

    def take(self, tokens: list[int]) -> None:
        """Note tokens that came together."""
        if not tokens:
            return
        if self._first is None:
            self._first = (self._ms(), len(tokens))
        self._tokens += tokens
        self._steps += 1

    def written(self, drafted: int | None = None, accepted: int | None = None) -> Written:
        """Give what came; of a server that drafts, steps are the tokens that were not drafted."""
        total = self._ms()
        first_ms, first_tokens = self._first or (total, 0)
        steps = self._steps if not accepted else max(1, len(self._tokens) - accepted)
        return Written(self._tokens, first_tokens, first_ms, total, steps, accepted, drafted)

    def _ms(self) -> float:
        return (time.perf_counter() - self._began) * 1e3


def _pieces(address: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the events of a streamed answer. Raises WriterFailed."""
    try:
        with httpx.stream(
            "POST", address, json=body, timeout=REQUEST_SECONDS, trust_env=False
        ) as response:
            if response.is_error:
                response.read()
                raise WriterFailed(
                    f"{address} answers {response.status_code}: {response.text[:300]}"
                )
            for line in response.iter_lines():
                data = line.removeprefix("data:").strip()
                if line.startswith("data:") and data != "[DONE]":
                    piece: dict[str, Any] = json.loads(data)
                    yield piece
    except (httpx.HTTPError, ValueError) as error:
        raise WriterFailed(f"{address} does not answer: {error}") from None
