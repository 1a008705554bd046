"""A conversation as the token ids that a model was taught to read.

The template of the model's folder is rendered in transformers' sandbox. Promises: what a person
wrote never becomes a control token. Spellings of control tokens in it are broken up by a mark
before the template sees them, and the mark is taken out again when the text is encoded.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from umbrella_daemon.resident.controls import ids_with_controls, spellings_of
from umbrella_daemon.wire import Message
from umbrella_engine.interface import ChatFormat, Tokenizer

# noncharacters of Unicode: no text that is exchanged has them
_MARKS: Final = tuple(map(chr, range(0xFDD0, 0xFDF0)))
PLAIN_STOPS: Final = ("\n\nUser:", "\n\nSystem:")  # what the plain form ends an answer before
_SPEAKERS: Final = {"user": "User", "assistant": "Assistant", "system": "System"}


class Unrenderable(ValueError):
    """The model's template refuses the conversation; the message says why."""


def conversation_ids(messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
    """Give the ids of a conversation, up to where the assistant speaks next.

    Without a template: "System: …", "User: …" and "Assistant: …", parted by blank lines. Raises
    Unrenderable.
    """
    chat = tokenizer.chat
    mark = _free_mark(messages)
    spellings = spellings_of(chat)
    turns = [
        Message(*(_broken(text, spellings, mark) for text in (one.role, one.content)))
        for one in messages
    ]
    if chat.template:
        start: list[int] = []
        text = _rendered(turns, chat)
    else:
        start = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
        text = _plain(turns)
    return [*start, *ids_with_controls(text, tokenizer, without=mark)]


def _rendered(messages: Iterable[Message], chat: ChatFormat) -> str:
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    turns = [{"role": one.role, "content": one.content} for one in messages]
    names: dict[str, Any] = dict(chat.names)
    try:
        rendered: Any = render_jinja_template(
            [turns], chat_template=chat.template, add_generation_prompt=True, **names
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise Unrenderable(f"the model's chat template refuses the conversation: {error}") from None
    return str(rendered[0][0])  # of the first conversation, without what it says of its turns


def _plain(messages: Iterable[Message]) -> str:
    turns = [f"{_SPEAKERS.get(one.role, one.role)}: {one.content}" for one in messages]
    return "\n\n".join([*turns, "Assistant:"])


def _broken(text: str, spellings: re.Pattern[str] | None, mark: str) -> str:
    """Put the mark into every spelling of a control token, also where several overlap."""
    while spellings and spellings.search(text):
        text = spellings.sub(lambda found: f"{found[0][0]}{mark}{found[0][1:]}", text)
    return text


def _free_mark(messages: Iterable[Message]) -> str:
    text = "".join(one.role + one.content for one in messages)
    mark = next((mark for mark in _MARKS if mark not in text), None)
    if mark is None:
        raise Unrenderable("the conversation holds every noncharacter of Unicode; it is no text")
    return mark
