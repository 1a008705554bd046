"""Conversations with a model elsewhere: the server's own template writes them.

A prompt made of turns is laid out with control tokens of ours, one for each role, and taken apart
again into the messages of a chat request. What a person wrote stays as it was.
"""

from collections.abc import Sequence
from typing import Final

from umbrella_engine.interface import ChatFormat

Part = int | str  # a control token, or text

ROLES: Final = {-11: "system", -12: "user", -13: "assistant"}  # control token → who speaks
_ANSWER: Final = -14
_TEMPLATE: Final = """\
{%- for message in messages -%}
{%- if message.role not in ("system", "user", "assistant") -%}
{{- raise_exception("a turn is by system, user or assistant, not by " + message.role) -}}
{%- endif -%}
{{- "<|umbrella_" + message.role + "|>" + message.content -}}
{%- endfor -%}
{{- "<|umbrella_answer|>" -}}"""
CHAT: Final = ChatFormat(
    _TEMPLATE,
    controls={
        **{f"<|umbrella_{role}|>": token for token, role in ROLES.items()},
        "<|umbrella_answer|>": _ANSWER,
    },
)


def messages_of(parts: Sequence[Part]) -> list[dict[str, str]]:
    """Give the messages that a prompt consists of; none where it is no conversation.

    What follows the last turn is what the answer begins with, if anything.
    """
    messages: list[dict[str, str]] = []
    for part in parts:
        if isinstance(part, str) and messages:
            messages[-1]["content"] += part
        elif part in ROLES:
            messages.append({"role": ROLES[part], "content": ""})
    return messages
