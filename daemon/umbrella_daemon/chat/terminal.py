"""Puts a chat together for this process's terminal."""

import sys

from rich.console import Console

from umbrella_daemon.chat.answer_view import AnswerView
from umbrella_daemon.chat.commands import COMMANDS
from umbrella_daemon.chat.history import open_history
from umbrella_daemon.chat.line_input import LineInput
from umbrella_daemon.chat.once import PlainView, answer_once
from umbrella_daemon.chat.partner import Partner
from umbrella_daemon.chat.session import Chat
from umbrella_daemon.paths import chat_history_path
from umbrella_daemon.settings import Settings


async def talk(settings: Settings, out: Console, progress: Console) -> None:
    """Talk until the person leaves; raises DaemonError where no model can be had."""
    partner = Partner(settings, progress)
    try:
        await partner.connect()
        chat = Chat(out, partner)
        history, problem = open_history(chat_history_path() if settings.chat.history else None)
        if problem:
            chat.trouble(problem)
        with_path = [name for name, command in COMMANDS.items() if command.takes_path]
        await chat.run(LineInput(history, lambda: chat.figures.footer, [*COMMANDS], with_path))
    finally:
        await partner.close()


async def ask(settings: Settings, question: str, out: Console, progress: Console) -> str:
    """Print the answer to a question; see `answer_once`."""
    partner = Partner(settings, progress)
    try:
        await partner.connect()
        if out.is_terminal:
            return await answer_once(partner, question, lambda footer: AnswerView(out, footer))
        return await answer_once(partner, question, lambda _: PlainView(sys.stdout))
    finally:
        await partner.close()
