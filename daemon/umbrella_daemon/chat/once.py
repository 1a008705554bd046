"""One question and its answer, for pipes: nothing but the answer on standard output."""

from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing
from types import TracebackType
from typing import Protocol, Self, TextIO

from umbrella_daemon.chat.conversation import Conversation
from umbrella_daemon.chat.figures import Figures
from umbrella_daemon.chat.partner import Partner
from umbrella_daemon.wire import Finish


class View(Protocol):
    """What shows an answer while it comes."""

    def feed(self, piece: str) -> None:
        """Show a piece of it."""
        ...


class PlainView:
    """The text as it is, ended by a line break."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last = "\n"

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the line; where nobody reads any more there is none to end."""
        if self._last != "\n" and not isinstance(error, OSError):
            self._out.write("\n")
            self._out.flush()

    def feed(self, piece: str) -> None:
        """Write a piece."""
        if piece:
            self._out.write(piece)
            self._out.flush()
            self._last = piece[-1]


async def answer_once(
    partner: Partner,
    question: str,
    show: Callable[[Callable[[], str]], AbstractContextManager[View]],
) -> str:
    """Show the answer to `question`; give why it is cut, "" where it is not.

    `show` makes the view from what gives its footer. Raises DaemonError, and OSError where nobody
    reads any more.
    """
    conversation = Conversation(partner.options.system)
    conversation.ask(question)
    figures = Figures(partner.context_tokens)
    with show(lambda: figures.footer) as view:
        async with aclosing(partner.answer(conversation, partner.options)) as pieces:
            async for piece in pieces:
                figures.latest = piece.usage
                view.feed(piece.text)
                if piece.finish == Finish.LENGTH:
                    tokens = piece.usage.completion_tokens
                    return f"The answer is cut after {tokens} tokens; --max-tokens allows more."
    return ""


def question_of(prompt: str, piped: str) -> str:
    """Join what is asked and what it is asked about."""
    return "\n\n".join(part for part in (prompt.strip(), piped.strip("\n")) if part.strip())
