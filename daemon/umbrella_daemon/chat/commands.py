"""What begins with a slash: commands of the chat, each one line of help and one function."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from umbrella_daemon.chat.conversation import Conversation, ConversationError

if TYPE_CHECKING:
    from umbrella_daemon.chat.session import Chat


@dataclass(frozen=True, slots=True)
class Command:
    """`run` gets the chat and the text behind the name."""

    run: Callable[["Chat", str], Awaitable[None]]
    argument: str  # "" where it takes none
    help: str
    takes_path: bool = False


async def run_command(chat: "Chat", line: str) -> None:
    """Do what a line that begins with a slash says."""
    name, _, argument = line.partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        chat.trouble(
            f"There is no command {name}; /help lists them. To begin a message with a slash, put a "
            "space before it."
        )
        return
    await command.run(chat, argument.strip())


async def _reset(chat: "Chat", _: str) -> None:
    chat.conversation.reset()
    kept = "; the system prompt stays" if chat.conversation.system else ""
    chat.note(f"The conversation begins anew{kept}.")


async def _system(chat: "Chat", text: str) -> None:
    if text:
        chat.conversation.system = "" if text == "none" else text
    system = chat.conversation.system
    chat.note(f"System prompt: {system}" if system else "No system prompt but the model's own.")


async def _model(chat: "Chat", pair: str) -> None:
    if pair:
        await chat.switch(pair)
    chat.note(chat.partner.title)


async def _save(chat: "Chat", name: str) -> None:
    path = _path(name, "/save FILE: .json can be loaded again, .md is for reading.")
    chat.conversation.save(path)
    chat.note(f"{len(chat.conversation.messages)} messages written to {path}")


async def _load(chat: "Chat", name: str) -> None:
    chat.conversation = Conversation.load(_path(name, "/load FILE: what /save wrote as .json."))
    chat.note(f"The conversation goes on from {len(chat.conversation.messages)} messages.")


async def _stats(chat: "Chat", _: str) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("model", Text(chat.partner.title))
    for name, value in chat.figures.lines():
        table.add_row(name, Text(value))
    chat.console.print(table)


async def _retry(chat: "Chat", _: str) -> None:
    question = chat.conversation.take_back()
    if question:
        await chat.say(question)
    else:
        chat.note("There is nothing to answer again.")


async def _help(chat: "Chat", _: str) -> None:
    table = Table.grid(padding=(0, 2))
    for name, command in COMMANDS.items():
        table.add_row(Text(f"{name} {command.argument}".strip(), "bold"), Text(command.help))
    for keys, what in KEYS.items():
        table.add_row(Text(keys, "bold"), Text(what))
    chat.console.print(table)


async def _quit(chat: "Chat", _: str) -> None:
    chat.over = True


def _path(name: str, usage: str) -> Path:
    if not name:
        raise ConversationError(usage)
    return Path(name).expanduser()


COMMANDS: Final = {
    "/reset": Command(_reset, "", "begin anew"),
    "/retry": Command(_retry, "", "answer the last question again"),
    "/system": Command(_system, "[TEXT]", "show or set the system prompt; none: the model's own"),
    "/model": Command(_model, "[PAIR]", "show the pair, or load another one, for editors as well"),
    "/save": Command(_save, "FILE", "write the conversation, .json or .md", takes_path=True),
    "/load": Command(_load, "FILE", "go on with a saved conversation (.json)", takes_path=True),
    "/stats": Command(_stats, "", "what the answers cost"),
    "/help": Command(_help, "", "this list"),
    "/quit": Command(_quit, "", "leave"),
}
KEYS: Final = {
    "Enter": "send",
    "Alt-Enter, \\ Enter": "another line; what is pasted keeps its lines",
    "Ctrl-C": "stop the answer, keep its text; at the prompt: clear the line",
    "Ctrl-X Ctrl-E": "write in $EDITOR",
    "Ctrl-D": "leave",
}
