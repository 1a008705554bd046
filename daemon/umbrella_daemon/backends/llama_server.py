"""llama.cpp's server: `/completion` with the prompt as we lay it out, `/infill` where that must be.

Control tokens go as ids between texts, so any layout can be sent, and a grammar makes the answer
begin with what is owed. A model whose fill-in-the-middle tokens are of no family we know gets
`/infill`, where the server lays the prompt out.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from umbrella_daemon.backends.chat import Part, messages_of
from umbrella_daemon.backends.dialect import Ask, News, Served, Token, Usage
from umbrella_daemon.backends.faults import BackendRefused
from umbrella_daemon.backends.hole import hole_of
from umbrella_daemon.backends.openai_events import DONE, news
from umbrella_daemon.backends.pieces import FIM, PieceTokenizer
from umbrella_daemon.backends.spelling import found, named, spells_control, tokenizer_for
from umbrella_daemon.backends.upstream import Upstream, shortened
from umbrella_daemon.settings import BackendSettings

PING_SECONDS: Final = 5  # the server says that it is alive while it reads a long prompt


class LlamaServer:
    """Implements `dialect.Dialect`."""

    def __init__(self, upstream: Upstream, settings: BackendSettings) -> None:
        self._upstream = upstream
        self._settings = settings
        self._root = upstream.address.url
        self._controls: dict[int, int] = {}  # ours → the model's
        self._infill = False

    def served(self) -> Served:
        """See `Dialect`."""
        self._upstream.get(f"{self._root}/health")  # says 503 while a model is loaded
        props = self._upstream.get(f"{self._root}/props")
        if not isinstance(props, dict) or "default_generation_settings" not in props:
            raise self._upstream.down("it is no llama-server: check backend.url and backend.kind")
        tokenizer = self._tokenizer()
        path = str(props.get("model_path") or props.get("model_alias") or "")
        return Served(
            self._settings.model or path.replace("\\", "/").rpartition("/")[2] or "a model",
            int(props["default_generation_settings"].get("n_ctx", 0)),
            tokenizer,
            "/infill" if self._infill else "/completion",
        )

    def request(self, ask: Ask) -> tuple[str, dict[str, object]]:
        """See `Dialect`."""
        sampling = ask.sampling
        body: dict[str, object] = {
            "stream": True,
            "cache_prompt": True,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "samplers": ["top_k", "top_p", "min_p", "temperature"],
            "timings_per_token": True,
            "sse_ping_interval": PING_SECONDS,
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed % 2**32
        if ask.owed:
            body["grammar"] = f"root ::= {_literal(ask.owed)} .*"
        if self._settings.model:
            body["model"] = self._settings.model
        if messages := messages_of(ask.parts):
            url = f"{self._root}/v1/chat/completions"
            chat = {"messages": messages, "max_tokens": ask.max_tokens, "logprobs": True}
            return url, body | chat
        hole = hole_of(ask.parts) if self._infill else None
        body |= {"n_predict": ask.max_tokens, "n_probs": max(1, ask.others)}
        if hole is None:
            return f"{self._root}/completion", body | {"prompt": self._prompt(ask.parts)}
        return f"{self._root}/infill", body | {
            "input_prefix": hole.before + hole.typed,
            "input_suffix": hole.after,
            "input_extra": [{"filename": name, "text": text} for name, text in hole.files],
        }

    def news(self, data: bytes) -> News:
        """See `Dialect`."""
        if data == DONE:
            return News(ended=True)
        event = _event(data)
        if event.error is not None:
            raise self._upstream.down(f"it failed: {shortened(str(event.error))}")
        if event.choices:
            return news(data, self._upstream)
        text = event.content.encode()
        tokens = (_token(text, event.completion_probabilities),) if text else ()
        return News(tokens, event.stop, event.timings.usage() if event.timings else None)

    def _prompt(self, parts: Sequence[Part]) -> str | list[int | str]:
        """Give a prompt of ids and texts; texts that spell control tokens become ids of text.

        One of texts alone has to be one text: a list of those would be so many prompts.
        """
        prompt: list[int | str] = [""]  # a text in front is where the server adds what models want
        for part in parts:
            if isinstance(part, int):
                prompt.append(self._controls[part])
            elif spells_control(part):
                prompt += self._tokenize(part, parse_special=False)
            else:
                prompt.append(part)
        return prompt if any(isinstance(one, int) for one in prompt) else "".join(map(str, prompt))

    def _tokenizer(self) -> PieceTokenizer:
        fim = self._settings.fim
        self._infill = False
        spellings = {} if fim in ("none", "suffix") else named(fim) if fim != "auto" else {}
        if fim == "auto":
            spellings = found(lambda spelling: self._id_of(spelling) is not None)
        if spellings:
            ids = {ours: self._id_of(spelling) for ours, spelling in spellings.items()}
            missing = [spellings[ours] for ours, theirs in ids.items() if theirs is None]
            if missing:
                raise self._upstream.down(
                    f'its model has no {" and no ".join(missing)}: set backend.fim = "auto"'
                )
            self._controls = {ours: id_ for ours, id_ in ids.items() if id_ is not None}
            return tokenizer_for(spellings)
        self._infill = fim == "suffix" or (fim == "auto" and self._has_infill())
        return PieceTokenizer(FIM) if self._infill else PieceTokenizer()

    def _id_of(self, spelling: str) -> int | None:
        ids = self._tokenize(spelling, parse_special=True)
        return ids[0] if len(ids) == 1 else None

    def _tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        body = {"content": text, "add_special": False, "parse_special": parse_special}
        answer = self._upstream.post(f"{self._root}/tokenize", body)
        return [int(token) for token in answer["tokens"]]

    def _has_infill(self) -> bool:
        """Whether the server can lay out a hole for its model."""
        body = {"input_prefix": "", "input_suffix": "", "n_predict": 0}
        try:
            self._upstream.post(f"{self._root}/infill", body)
        except BackendRefused:
            return False
        return True


class _Likely(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    data: list[int] = msgspec.field(default_factory=list, name="bytes")

    def pair(self) -> tuple[bytes, float]:
        return bytes(self.data) or self.token.encode(), self.logprob


class _Probability(_Likely):
    top_logprobs: list[_Likely] = []


class _Timings(msgspec.Struct):
    prompt_n: int = 0
    cache_n: int = 0
    draft_n: int = 0
    draft_n_accepted: int = 0

    def usage(self) -> Usage:
        prompt = self.prompt_n + self.cache_n
        return Usage(prompt, self.cache_n, self.draft_n, self.draft_n_accepted)


class _Event(msgspec.Struct):
    content: str = ""
    stop: bool = False
    completion_probabilities: list[_Probability] = []
    timings: _Timings | None = None
    error: Any = None
    choices: list[msgspec.Raw] = []  # in chats


_event: Final = msgspec.json.Decoder(_Event).decode


def _token(text: bytes, told: list[_Probability]) -> Token:
    logprob = sum(one.logprob for one in told)
    others = tuple(one.pair() for one in told[0].top_logprobs) if len(told) == 1 else ()
    return Token(text, logprob, others)


def _literal(text: str) -> str:
    """Give `text` as a literal of llama.cpp's grammar language."""
    plain = "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08X}" for c in text)
    return f'"{plain}"'
