"""How OpenAI's interfaces tell of an answer, event by event: completions and chats."""

from typing import Any, Final

import msgspec

from umbrella_daemon.backends.dialect import News, Token, Usage
from umbrella_daemon.backends.upstream import Upstream, shortened

DONE: Final = b"[DONE]"


def news(data: bytes, upstream: Upstream) -> News:
    """Read the data of one event; raises BackendDown where it tells of a failure."""
    if data == DONE:
        return News(ended=True)
    event = _event(data)
    if event.error is not None:
        raise upstream.down(f"it failed: {shortened(str(event.error))}")
    usage = event.usage.usage() if event.usage else None
    if not event.choices:
        return News(usage=usage)
    choice = event.choices[0]
    return News(_tokens(choice), choice.finish_reason is not None, usage)


class _Likely(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    data_bytes: list[int] | None = msgspec.field(default=None, name="bytes")

    def data(self) -> bytes:
        return bytes(self.data_bytes) if self.data_bytes else self.token.encode()


class _Detailed(_Likely):
    top_logprobs: list[_Likely] = []


class _Logprobs(msgspec.Struct):
    """In the shape of completions, or (llama-server) in that of chats."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None
    content: list[_Detailed] | None = None

    def told(self) -> tuple[Token, ...]:
        """Give the tokens that it tells of."""
        if self.content is not None:
            return tuple(
                Token(
                    one.data(),
                    one.logprob,
                    tuple((other.data(), other.logprob) for other in one.top_logprobs),
                )
                for one in self.content
            )
        tops = [*(self.top_logprobs or []), *[None] * len(self.tokens)]
        return tuple(
            Token(
                token.encode(),
                logprob or 0.0,
                tuple((other.encode(), value) for other, value in (top or {}).items()),
            )
            for token, logprob, top in zip(self.tokens, self.token_logprobs, tops, strict=False)
        )


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    prompt_tokens_details: _Details | None = None

    def usage(self) -> Usage:
        details = self.prompt_tokens_details
        return Usage(self.prompt_tokens, (details and details.cached_tokens) or 0)


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_event: Final = msgspec.json.Decoder(_Event).decode


def _tokens(choice: _Choice) -> tuple[Token, ...]:
    """Give what a choice adds: token by token where they spell its text, else as one."""
    text = ((choice.delta.content if choice.delta else choice.text) or "").encode()
    told = choice.logprobs.told() if choice.logprobs else ()
    if told and b"".join(token.data for token in told) == text:
        return tuple(token for token in told if token.data)
    return (Token(text, sum(token.logprob for token in told)),) if text else ()
