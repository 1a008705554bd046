"""The chat at a terminal: read a line, answer it or obey it, until the person leaves."""

import asyncio
import signal
from contextlib import aclosing
from typing import Final

from rich.console import Console
from rich.text import Text

from umbrella_daemon.chat.answer_view import AnswerView
from umbrella_daemon.chat.commands import run_command
from umbrella_daemon.chat.conversation import Conversation, ConversationError
from umbrella_daemon.chat.figures import Figures
from umbrella_daemon.chat.keyboard import unseen_typing
from umbrella_daemon.chat.line_input import LineInput
from umbrella_daemon.chat.partner import Partner
from umbrella_daemon.client import DaemonError
from umbrella_daemon.settings import SettingsError
from umbrella_daemon.wire import Finish

STOPPED: Final = "(stopped)"


class Chat:
    """One person, one conversation."""

    def __init__(self, console: Console, partner: Partner) -> None:
        self.console = console
        self.partner = partner
        self.conversation = Conversation(partner.options.system)
        self.figures = Figures(partner.context_tokens)
        self.over = False

    async def run(self, keyboard: LineInput) -> None:
        """Talk until the person leaves."""
        self.note(f"{self.partner.title} · /help lists commands, Ctrl-D leaves")
        with unseen_typing():
            while not self.over:
                try:
                    line = await keyboard.read()
                except KeyboardInterrupt:
                    continue
                except EOFError:
                    return
                if line.strip():
                    await self._obey(line)

    async def _obey(self, line: str) -> None:
        """Answer what was typed, or do it; Ctrl-C ends that."""
        work = asyncio.create_task(self.obey(line))
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            self.note(STOPPED)
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    async def obey(self, line: str) -> None:
        """Answer what was typed, or do it where it is a command; trouble is shown."""
        try:
            if line.startswith("/"):
                await run_command(self, line)
            else:
                await self.say(line.strip())
        except (ConversationError, DaemonError, SettingsError) as error:
            self.trouble(str(error))

    async def say(self, text: str) -> None:
        """Show the answer to `text`; cancelling this ends it and keeps what is there.

        Raises DaemonError. Where nothing was written the question is taken back.
        """
        self.conversation.ask(text)
        try:
            await self._make_room()
            answer = await self._answer()
        except (DaemonError, asyncio.CancelledError):
            self.conversation.take_back()
            raise
        if answer:
            self.conversation.answer(answer)
        else:
            self.conversation.take_back()
            self.note("Nothing was written; the question was taken back.")

    async def switch(self, pair: str) -> None:
        """Have the daemon load another pair; raises SettingsError and DaemonError."""
        self.note("Editors wait while the daemon loads the pair; it is theirs as well.")
        try:
            await self.partner.switch(pair)
        finally:
            self.figures = Figures(self.partner.context_tokens)

    def note(self, text: str) -> None:
        """Say something that is no answer."""
        self.console.print(Text(text, "dim"))

    def trouble(self, text: str) -> None:
        """Say what went wrong."""
        self.console.print(Text(text, "red"))

    async def _make_room(self) -> None:
        dropped = await self.partner.make_room(self.conversation, self.partner.options)
        if dropped:
            turns = "turn" if dropped == 1 else f"{dropped} turns"
            self.note(
                f"The context ({self.partner.context_tokens} tokens) is full: the oldest {turns} "
                "left the conversation, the system prompt stays."
            )

    async def _answer(self) -> str:
        """Show an answer while it comes; give its text."""
        texts: list[str] = []
        ended = STOPPED
        try:
            with AnswerView(self.console, lambda: self.figures.footer) as view:
                answer = self.partner.answer(self.conversation, self.partner.options)
                async with aclosing(answer) as pieces:
                    async for piece in pieces:
                        texts.append(piece.text)
                        self.figures.latest = piece.usage
                        view.feed(piece.text)
                        ended = piece.finish
        except asyncio.CancelledError:
            if not any(texts):
                raise
            ended = STOPPED
        except DaemonError as error:
            if not any(texts):
                raise
            ended = str(error)
        self.figures.finish(self.figures.latest)
        self._tell_end(ended)
        return "".join(texts)

    def _tell_end(self, ended: str) -> None:
        match ended:
            case Finish.STOP:
                self.console.print()
            case _ if ended == STOPPED:
                self.note(f"{STOPPED}\n")
            case Finish.LENGTH:
                tokens = self.figures.latest.completion_tokens
                self.note(f"(cut after {tokens} tokens; chat.max_tokens allows more)\n")
            case _:
                why = "the daemon is stopping" if ended == Finish.CANCELLED else ended
                self.trouble(f"The answer broke off, its text is kept: {why}\n")
