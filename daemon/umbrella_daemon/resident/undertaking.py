"""What a `Generate` asks for, as the engine takes it: ids, what is owed, limits, rules.

Everything that is wrong with a request is found here, before the engine is asked.
"""

from dataclasses import dataclass
from typing import Final

from umbrella_daemon.resident.controls import ids_with_controls
from umbrella_daemon.resident.conversation import PLAIN_STOPS, Unrenderable, conversation_ids
from umbrella_daemon.resident.endings import LeastIndent, LineAfter, Rule, StopTexts
from umbrella_daemon.resident.prompt import Prompt, build_prompt, document_start
from umbrella_daemon.resident.writer import MARGIN_TOKENS
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete, Generate
from umbrella_engine.interface import Engine, Limits, Sampling, Tokenizer

HOLE_TOKENS: Final = 512  # kept free for what fills a hole where nobody says how long it may be


class BadRequest(ValueError):
    """The request asks for what cannot be; the message says what and what can."""


@dataclass(frozen=True, slots=True)
class Undertaking:
    """One generation, ready for the engine."""

    prompt: Prompt
    limits: Limits
    sampling: Sampling
    stops: StopTexts
    rules: tuple[Rule, ...]  # all that may end the answer, stop texts among them


def undertake(request: Generate, engine: Engine, settings: PromptSettings) -> Undertaking:
    """Get a request ready; raises BadRequest."""
    try:
        sampling = Sampling(
            request.temperature, request.top_k, request.top_p, request.min_p, request.seed
        )
        prompt = _prompt(request, engine, settings)
    except (Unrenderable, ValueError) as error:
        raise BadRequest(str(error)) from None
    context, tokenizer = engine.info.context_tokens, engine.tokenizer
    room = context - len(prompt.ids)
    if room < 1:
        raise BadRequest(
            f"the prompt has {len(prompt.ids)} tokens and the context holds {context}, the answer "
            "included; shorten it, or raise engine.context_tokens"
        )
    if request.max_tokens > 0:
        room = min(room, request.max_tokens + _owed(prompt, tokenizer))
    plain = bool(request.messages) and not tokenizer.chat.template
    stops = StopTexts((*request.stop, *(PLAIN_STOPS if plain else ())))
    rules: list[Rule] = [stops]
    if request.min_indent > 0:
        rules.append(LeastIndent(request.min_indent))
    if request.max_ms > 0:
        rules.append(LineAfter(request.max_ms / 1e3))
    limits = Limits(room, tokenizer.stop_ids)
    return Undertaking(prompt, limits, sampling, stops, tuple(rules))


def _prompt(request: Generate, engine: Engine, settings: PromptSettings) -> Prompt:
    tokenizer = engine.tokenizer
    if request.messages:
        return Prompt(conversation_ids(request.messages, tokenizer), b"", "chat")
    if request.suffix is not None:
        return _hole(request, engine, settings)
    if request.ids:
        strange = next((one for one in request.ids if not 0 <= one < tokenizer.vocab_size), None)
        if strange is not None:
            raise BadRequest(f"{strange} is no token; ids are 0 to {tokenizer.vocab_size - 1}")
        return Prompt(list(request.ids), b"", "ids")
    encode = tokenizer.encode
    ids = (
        ids_with_controls(request.prompt, tokenizer) if request.controls else encode(request.prompt)
    )
    if tokenizer.bos_id is not None and ids[:1] != [tokenizer.bos_id]:
        ids = [tokenizer.bos_id, *ids]
    return Prompt(ids or [document_start(tokenizer)], b"", "text")


def _hole(request: Generate, engine: Engine, settings: PromptSettings) -> Prompt:
    """Lay out the text around a hole as for an editor's request."""
    context = engine.info.context_tokens
    kept = min(request.max_tokens or HOLE_TOKENS, context // 2) + MARGIN_TOKENS
    around = Complete(
        request.id,
        document="",
        version=0,
        language=request.language,
        path=request.path,
        prefix=request.prompt,
        suffix=request.suffix or "",
        snippets=request.snippets,
    )
    return build_prompt(around, engine.tokenizer, settings, context - kept)


def _owed(prompt: Prompt, tokenizer: Tokenizer) -> int:
    """Tokens that the answer may need to spell again what was taken back."""
    repeated = len(tokenizer.encode(prompt.owed.decode(errors="ignore")))
    return min(repeated, MARGIN_TOKENS)
