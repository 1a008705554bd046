"""`umbrella chat`: talk to the resident pair in a terminal, or ask it once in a pipe."""

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

import click

from umbrella_daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from umbrella_daemon.settings import Settings

INTERRUPTED: Final = 130  # as a shell counts what Ctrl-C ended
UNREAD: Final = 141  # and what wrote to a pipe that nobody reads
# options that are settings of section `chat`
OPTIONS: Final = (
    ("--system", "TEXT", "System prompt; by default the model's own."),
    ("--temperature", "X", "0, the default, is greedy: always the likeliest token."),
    ("--top-p", "P", "Only the likeliest tokens that together reach this probability."),
    ("--top-k", "N", "Only the N likeliest tokens; 0: all."),
    ("--min-p", "P", "Only tokens at least this fraction as likely as the likeliest."),
    ("--seed", "N", "Equal seeds give equal answers; -1: another one every time."),
    ("--max-tokens", "N", "Longest answer; 0: as long as it fits."),
)


@click.command(
    params=[click.Option([flag], metavar=metavar, help=text) for flag, metavar, text in OPTIONS]
)
@click.option("-p", "--prompt", metavar="TEXT", help="Ask TEXT once, print the answer and leave.")
@click.option("--history/--no-history", default=None, help="Keep what is typed for later chats.")
@click.pass_obj
def chat(
    invocation: Invocation, /, prompt: str | None, history: bool | None, **options: str | None
) -> None:
    """Talk to the model that your editors use; nothing leaves the machine.

    On a terminal a conversation; /help lists what can be done. With -p, or with text from a pipe,
    one question and its answer: git diff | umbrella chat -p "write a commit message".
    """
    given = {f"chat.{name}": value for name, value in options.items() if value is not None}
    if history is not None:
        given["chat.history"] = str(history).lower()
    settings = invocation.settings(given)
    try:
        if prompt is None and sys.stdin.isatty():
            _talk(settings)
        else:
            _ask(settings, prompt)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _talk(settings: "Settings") -> None:
    from umbrella_daemon.chat.terminal import talk
    from umbrella_daemon.cli.output import console

    if not sys.stdout.isatty():
        raise click.UsageError(
            "A conversation needs a terminal, and standard output is none; ask once with -p TEXT."
        )
    asyncio.run(talk(settings, console(), console(stderr=True)))


def _ask(settings: "Settings", prompt: str | None) -> None:
    from umbrella_daemon.chat.once import question_of
    from umbrella_daemon.chat.terminal import ask
    from umbrella_daemon.cli.output import console

    question = question_of(prompt or "", _piped())
    if not question:
        raise click.UsageError("There is no question: give one with -p TEXT, or in a pipe.")
    try:
        cut = asyncio.run(ask(settings, question, console(), console(stderr=True)))
    except BrokenPipeError:
        # nothing is left to be written when Python leaves
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(UNREAD) from None
    if cut:
        click.echo(cut, err=True)


def _piped() -> str:
    """Give what comes in a pipe or a file; nothing where a person would have to type it."""
    if sys.stdin.isatty():
        return ""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise click.ClickException(
            f"What comes from standard input is not UTF-8 text ({error.reason} at byte "
            f"{error.start}); nothing was asked."
        ) from None


COMMANDS = (chat,)
