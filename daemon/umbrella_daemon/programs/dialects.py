"""Requests to `umbrella api` and the pieces in its streams, in the two shapes that are used.

A dialect knows the JSON of one kind of request; nothing of connections.
"""

from typing import Any, Final, Protocol

from umbrella_daemon.wire import Finish, Generate, Generated, Token, Usage

Json = dict[str, Any]
NO_ID: Final = -1  # of a token that the answer does not tell the id of


class Dialect(Protocol):
    """One kind of request."""

    path: str

    def body(self, request: Generate) -> Json:
        """Give the request as JSON."""
        ...

    def piece(self, event: Json) -> Generated:
        """Read an event of the stream; what it costs, and why it ended, may come apart."""
        ...


class Continuation:
    """Texts and holes: llama.cpp's `/completion` and `/infill`."""

    def __init__(self, *, hole: bool) -> None:
        self.path = "/infill" if hole else "/completion"

    def body(self, request: Generate) -> Json:
        """See `Dialect`."""
        prompt: Json = {"prompt": list(request.ids) or request.prompt}
        if request.suffix is not None:
            extra = [{"filename": one.path, "text": one.text} for one in request.snippets]
            prompt = {
                "input_prefix": request.prompt,
                "input_suffix": request.suffix,
                "input_extra": extra,
            }
        return {
            **prompt,
            **_sampling(request),
            "parse_special": request.controls,
            "n_predict": request.max_tokens or -1,
            "n_probs": int(request.logprobs),
            "n_indent": request.min_indent,
            "t_max_predict_ms": request.max_ms or -1,
        }

    def piece(self, event: Json) -> Generated:
        """See `Dialect`."""
        text = str(event["content"])
        if not event["stop"]:
            known = event.get("completion_probabilities", ())
            return Generated(0, text, tuple(_token(one) for one in known))
        times = event["timings"]
        limit = event["stop_type"] == "limit"
        usage = Usage(
            prompt_tokens=event["tokens_evaluated"],
            cached_tokens=times["cache_n"],
            completion_tokens=event["tokens_predicted"],
            drafted_tokens=times.get("draft_n", 0),
            accepted_tokens=times.get("draft_n_accepted", 0),
            prompt_ms=times["prompt_ms"],
            generate_ms=times["predicted_ms"],
        )
        return Generated(
            0,
            text,
            done=True,
            finish=Finish.LENGTH if limit else Finish.STOP,
            stopped_by=event["stopping_word"],
            usage=usage,
        )


class Conversation:
    """Conversations: OpenAI's chat completions."""

    path = "/v1/chat/completions"

    def body(self, request: Generate) -> Json:
        """See `Dialect`."""
        return {
            **_sampling(request),
            "messages": [{"role": one.role, "content": one.content} for one in request.messages],
            "max_tokens": request.max_tokens or None,
            "logprobs": request.logprobs,
            "stream_options": {"include_usage": True},
        }

    def piece(self, event: Json) -> Generated:
        """See `Dialect`."""
        if not event["choices"]:
            told = event["usage"]
            cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            usage = Usage(told["prompt_tokens"], cached, told["completion_tokens"])
            return Generated(0, usage=usage)
        choice = event["choices"][0]
        known = (choice.get("logprobs") or {}).get("content") or ()
        return Generated(
            0,
            choice["delta"].get("content") or "",
            tuple(_token(one) for one in known),
            finish=choice["finish_reason"] or "",
        )


def dialect_of(request: Generate) -> Dialect:
    """Give the dialect in which a request is made."""
    return Conversation() if request.messages else Continuation(hole=request.suffix is not None)


def _sampling(request: Generate) -> Json:
    return {
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "min_p": request.min_p,
        "seed": request.seed,
        "stop": list(request.stop),
        "stream": True,
    }


def _token(known: Json) -> Token:
    return Token(known.get("id", NO_ID), bytes(known["bytes"] or ()), known["logprob"])
