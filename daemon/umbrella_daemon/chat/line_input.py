"""Where a person types: one message, of as many lines as wanted.

Enter sends it; Alt-Enter, Ctrl-J or a backslash at the end of a line begin another line, and what
is pasted keeps its own. Ctrl-X Ctrl-E opens it in the editor that $VISUAL or $EDITOR name.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

MARK: Final = "» "
CONTINUED: Final = "  "
STYLE: Final = Style.from_dict(
    {"prompt": "bold ansicyan", "bottom-toolbar": "noreverse ansibrightblack"}
)


class LineInput:
    """A terminal's keyboard."""

    def __init__(
        self,
        history: History,
        footer: Callable[[], str],
        commands: Sequence[str],
        with_path: Sequence[str],
    ) -> None:
        self._session: PromptSession[str] = PromptSession(
            [("class:prompt", MARK)],
            multiline=True,
            history=history,
            key_bindings=_keys(),
            completer=_Commands(commands, with_path),
            complete_while_typing=False,
            bottom_toolbar=footer,
            prompt_continuation=CONTINUED,
            enable_open_in_editor=True,
            style=STYLE,
        )

    async def read(self, default: str = "") -> str:
        """Give what was typed; raises EOFError for Ctrl-D and KeyboardInterrupt for Ctrl-C."""
        return await self._session.prompt_async(default=default)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.current_line_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return keys


class _Commands(Completer):
    """Names of commands, and of files where a command takes one."""

    def __init__(self, commands: Sequence[str], with_path: Sequence[str]) -> None:
        self._commands = commands
        self._with_path = with_path
        self._paths = PathCompleter(expanduser=True)

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Complete the first line, where it begins with a slash."""
        typed = document.text_before_cursor
        command, space, argument = typed.partition(" ")
        if not typed.startswith("/") or "\n" in typed:
            return
        if not space:
            for name in self._commands:
                if name.startswith(typed):
                    yield Completion(name, -len(typed))
        elif command in self._with_path:
            yield from self._paths.get_completions(Document(argument), complete_event)
