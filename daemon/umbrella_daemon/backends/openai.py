"""Servers that speak OpenAI's completions: vLLM, SGLang, llama-server, Ollama and others.

A prompt goes as one text. Which control tokens the model has follows from the server's tokenizer
where it can be asked (vLLM and llama-server have `/tokenize`), else from the setting `backend.fim`.
Conversations go to the server's chat interface, where its own template writes them.
"""

from typing import Any, Final

from umbrella_daemon.backends.chat import messages_of
from umbrella_daemon.backends.dialect import Ask, News, Served
from umbrella_daemon.backends.faults import BackendDown, BackendRefused
from umbrella_daemon.backends.hole import hole_of
from umbrella_daemon.backends.openai_events import news
from umbrella_daemon.backends.pieces import FIM, PieceTokenizer
from umbrella_daemon.backends.spelling import (
    Spellings,
    broken_up,
    found,
    named,
    spelled,
    tokenizer_for,
)
from umbrella_daemon.backends.upstream import Upstream
from umbrella_daemon.settings import BackendSettings
from umbrella_engine.interface import Sampling

MISSING: Final = frozenset({404, 405, 501})  # what servers say of what they do not have
SHOW_CONTROLS: Final = frozenset({"vllm", "sglang"})  # that can be asked not to hide control tokens
MOST_OTHERS: Final = 5  # what OpenAI's interface promises; servers refuse more than theirs


class OpenAI:
    """Implements `dialect.Dialect`."""

    def __init__(self, upstream: Upstream, settings: BackendSettings) -> None:
        self._upstream = upstream
        self._settings = settings
        self._url = upstream.address.url
        self._model = settings.model
        self._spellings: Spellings = {}
        self._extras: dict[str, object] = {}

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
        # hidden, the name of the next file would look like the answer going on
        shows = chosen.get("owned_by") in SHOW_CONTROLS
        self._extras = {"skip_special_tokens": False} if shows else {}
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
            **_filters(sampling),
        }
        if messages := messages_of(ask.parts):
            return f"{self._url}/chat/completions", body | {"messages": messages, "logprobs": True}
        body["logprobs"] = min(MOST_OTHERS, max(1, ask.others))
        body |= self._extras
        url = f"{self._url}/completions"
        hole = hole_of(ask.parts) if self._settings.fim == "suffix" else None
        if hole is None:
            return url, body | {"prompt": spelled(ask.parts, self._spellings)}
        files = "".join(f"{text}\n" for _, text in hole.files)
        prompt = broken_up(files + hole.before + hole.typed)
        return url, body | {"prompt": prompt, "suffix": broken_up(hole.after)}

    def news(self, data: bytes) -> News:
        """See `Dialect`."""
        return news(data, self._upstream)

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


def _filters(sampling: Sampling) -> dict[str, object]:
    """Give what narrows the choice of tokens, as far as it does: not everybody knows all of it."""
    given = {
        "top_p": (sampling.top_p, 1.0),
        "top_k": (sampling.top_k, 0),
        "min_p": (sampling.min_p, 0.0),
        "seed": (sampling.seed, None),
    }
    return {name: value for name, (value, unset) in given.items() if value != unset}


def _context_tokens(model: dict[str, Any]) -> int:
    """Give how long a prompt with its answer may be, as servers tell it; 0 where they do not."""
    meta = model.get("meta")
    for place in (model, meta if isinstance(meta, dict) else {}):
        for key in ("max_model_len", "context_length", "n_ctx"):
            if isinstance(place.get(key), int):
                return int(place[key])
    return 0
