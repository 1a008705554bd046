"""The chat: streaming, stop, retry, edit, sampling."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import gradio as gr
from gradio.components import Component

from umbrella_daemon.chat.conversation import Conversation
from umbrella_daemon.chat.partner import Partner
from umbrella_daemon.client import DaemonError
from umbrella_daemon.settings import ChatSettings
from umbrella_daemon.web.pictures import answer_line
from umbrella_daemon.wire import Finish, Usage

REDRAWN_SECONDS: Final = 0.05
Shown = tuple[str, str]  # the answer so far, a line of figures


class ChatTab:
    """Answers with `partner`."""

    def __init__(self, partner: Partner) -> None:
        self._partner = partner

    def build(self) -> None:
        """Lay it out, in the page that is being made."""
        figures = gr.HTML(elem_id="figures")
        gr.ChatInterface(
            self.answer,
            chatbot=gr.Chatbot(
                show_label=False,
                height="60vh",
                placeholder="Ask the model that your editors use. Nothing leaves the machine.",
                buttons=["copy"],
                feedback_options=None,
                elem_id="chat",
                render=False,
            ),
            textbox=gr.Textbox(
                placeholder="Message",
                show_label=False,
                submit_btn=True,
                stop_btn=True,
                elem_id="message",
                render=False,
            ),
            editable=True,
            flagging_mode="never",
            analytics_enabled=False,
            additional_inputs=_controls(self._partner.options),
            additional_inputs_accordion=gr.Accordion(
                "System prompt and sampling", open=False, render=False
            ),
            additional_outputs=[figures],
            api_visibility="private",
        )

    async def answer(
        self,
        message: str,
        history: Sequence[Mapping[str, Any]],
        system: str,
        temperature: float,
        top_p: float,
        top_k: int,
        min_p: float,
        seed: int,
        max_tokens: int,
    ) -> AsyncGenerator[Shown]:
        """Give the answer as it grows; closing the generator stops the engine."""
        options = ChatSettings(
            system,
            float(temperature),
            int(top_k),
            float(top_p),
            float(min_p),
            int(seed),
            max(0, int(max_tokens)),
        )
        conversation = conversation_of(system, history)
        conversation.ask(message)
        text = ""
        try:
            note = await self._make_room(conversation, options)
            drawn = 0.0
            async with aclosing(self._partner.answer(conversation, options)) as pieces:
                async for piece in pieces:
                    text += piece.text
                    if piece.done or time.monotonic() - drawn > REDRAWN_SECONDS:
                        drawn = time.monotonic()
                        yield text, self._figures(piece.usage, note, piece.finish)
        except DaemonError as error:
            if not text:
                raise gr.Error(str(error), duration=None, print_exception=False) from None
            yield text, self._figures(Usage(), f"The answer broke off: {error}")

    async def _make_room(self, conversation: Conversation, options: ChatSettings) -> str:
        dropped = await self._partner.make_room(conversation, options)
        if not dropped:
            return ""
        turns = "turn was" if dropped == 1 else f"{dropped} turns were"
        return f"The context is full: the oldest {turns} left out."

    def _figures(self, usage: Usage, note: str, finish: str = "") -> str:
        if finish == Finish.LENGTH:
            note = f"{note} Cut after {usage.completion_tokens} tokens.".strip()
        return answer_line(usage, self._partner.context_tokens, note)


def _controls(defaults: ChatSettings) -> list[Component | str]:
    """Make what says how to answer, in the order in which `ChatTab.answer` takes it."""
    return [
        gr.Textbox(defaults.system, label="System prompt", lines=2, render=False),
        gr.Slider(
            0, 2, defaults.temperature, step=0.05, label="Temperature (0: greedy)", render=False
        ),
        gr.Slider(0.01, 1, defaults.top_p, step=0.01, label="Top-p", render=False),
        gr.Slider(0, 200, defaults.top_k, step=1, label="Top-k (0: all)", render=False),
        gr.Slider(0, 1, defaults.min_p, step=0.01, label="Min-p", render=False),
        gr.Number(defaults.seed, precision=0, label="Seed (-1: another every time)", render=False),
        gr.Number(
            defaults.max_tokens, precision=0, label="Longest answer (0: as it fits)", render=False
        ),
    ]


def conversation_of(system: str, history: Sequence[Mapping[str, Any]]) -> Conversation:
    """Give what was said so far as the model reads it."""
    conversation = Conversation(system.strip())
    for turn in history:
        text = _text(turn["content"])
        if turn["role"] == "user":
            conversation.ask(text)
        elif text:
            conversation.answer(text)
    return conversation


def _text(content: Any) -> str:
    """Give the text of a message, which the page holds as a text or in parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in parts)
