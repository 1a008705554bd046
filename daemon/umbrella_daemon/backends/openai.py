"""Servers that speak OpenAI's completions: vLLM, SGLang, llama-server, Ollama and others.

A prompt goes as one text. Which control tokens the model has follows from the server's tokenizer
where it can be asked (vLLM and llama-server have `/tokenize`), else from the setting `backend.fim`.
Conversations go to the server's chat interface, where its own template writes them.
"""

from typing import Any, Final

import msgspec

from umbrella_daemon.backends.dialect import Ask, News, Served, Token, Usage
from umbrella_daemon.backends.faults import BackendDown, BackendRefused
from umbrella_daemon.backends.hole import hole_of
from umbrella_daemon.backends.pieces import FIM, PieceTokenizer
from umbrella_daemon.backends.spelling import (
    Spellings,
    broken_up,
    found,
    named,
    spelled,
    tokenizer_for,
)
from umbrella_daemon.backends.upstream import Upstream, shortened
from umbrella_daemon.settings import BackendSettings

MISSING: Final = frozenset({404, 405, 501})  # what servers say of what they do not have
MOST_OTHERS: Final = 5  # what OpenAI's interface promises; servers refuse more than theirs


class OpenAI:
    """Implements `dialect.Dialect`."""

    def __init__(self, upstream: Upstream, settings: BackendSettings) -> None:
        self._upstream = upstream
        self._settings = settings
        self._url = upstream.address.url
        self._model = settings.model
        self._spellings: Spellings = {}

    def served(self) -> Served:
        """See `Dialect`."""
        models = self._models()
        names = [str(one.get("id", "")) for one in models]
        wanted = self._settings.model
        if wanted and names and wanted not in names:
            raise self._upstream.down(
                f"it has no model {wanted} but {', '.join(names[:5])}: correct backend.model"
            )
        if not wanted and not names:
            raise self._upstream.down("it does not say which models it has: set backend.model")
        self._model = wanted or names[0]
        tokenizer = self._tokenizer()
        chosen = next((one for one in models if one.get("id") == self._model), {})
        layout = "suffix" if self._settings.fim == "suffix" else "text"
        return Served(self._model, _context_tokens(chosen), tokenizer, layout)

    def request(self, ask: Ask) -> tuple[str, dict[str, object]]:
        """See `Dialect`."""
        sampling = ask.sampling
        body: dict[str, object] = {
            "model": self._model,
            "stream": True,
            "max_tokens": ask.max_tokens,
            "temperature": sampling.temperature,
            "logprobs": min(MOST_OTHERS, max(1, ask.others)),
        }
        filters = {"top_p": sampling.top_p, "top_k": sampling.top_k, "min_p": sampling.min_p}
        unset = {"top_p": 1.0, "top_k": 0, "min_p": 0.0}  # not everybody knows the last two
        body |= {name: value for name, value in filters.items() if value != unset[name]}
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        url = f"{self._url}/completions"
        hole = hole_of(ask.parts) if self._settings.fim == "suffix" else None
        if hole is None:
            return url, body | {"prompt": spelled(ask.parts, self._spellings)}
        files = "".join(f"{text}\n" for _, text in hole.files)
        prompt = broken_up(files + hole.before + hole.typed)
        return url, body | {"prompt": prompt, "suffix": broken_up(hole.after)}

    def news(self, data: bytes) -> News:
        """See `Dialect`."""
        if data == b"[DONE]":
            return News(ended=True)
        event = _event(data)
        if event.error is not None:
            raise self._upstream.down(f"it failed: {shortened(str(event.error))}")
        usage = event.usage.usage() if event.usage else None
        if not event.choices:
            return News(usage=usage)
        choice = event.choices[0]
        return News(_tokens(choice), choice.finish_reason is not None, usage)

    def _models(self) -> list[dict[str, Any]]:
        """Give what the server lists; nothing where it lists none."""
        try:
            listed = self._upstream.get(f"{self._url}/models")
        except (BackendDown, BackendRefused) as error:
            if error.status not in MISSING:
                raise
            return []
        data = listed.get("data") if isinstance(listed, dict) else None
        return [one for one in data or [] if isinstance(one, dict)]

    def _tokenizer(self) -> PieceTokenizer:
        fim = self._settings.fim
        if fim == "suffix":
            return PieceTokenizer(FIM)
        if fim == "auto":
            self._spellings = found(self._is_token)
        else:
            self._spellings = {} if fim == "none" else named(fim)
        return tokenizer_for(self._spellings)

    def _is_token(self, spelling: str) -> bool:
        """Ask the server whether `spelling` is one token; no where it cannot be asked."""
        body = {
            "model": self._model,
            "prompt": spelling,  # vLLM, SGLang
            "content": spelling,  # llama-server
            "add_special_tokens": False,
        }
        try:
            answer = self._upstream.post(f"{self._upstream.address.root}/tokenize", body)
        except (BackendDown, BackendRefused) as error:
            if not error.status:
                raise
            return False
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        return isinstance(tokens, list) and len(tokens) == 1


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


class _Choice(msgspec.Struct):
    text: str | None = None
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
    text = (choice.text or "").encode()
    told = choice.logprobs.told() if choice.logprobs else ()
    if told and b"".join(token.data for token in told) == text:
        return tuple(token for token in told if token.data)
    return (Token(text, sum(token.logprob for token in told)),) if text else ()


def _context_tokens(model: dict[str, Any]) -> int:
    """Give how long a prompt with its answer may be, as servers tell it; 0 where they do not."""
    meta = model.get("meta")
    for place in (model, meta if isinstance(meta, dict) else {}):
        for key in ("max_model_len", "context_length", "n_ctx"):
            if isinstance(place.get(key), int):
                return int(place[key])
    return 0
