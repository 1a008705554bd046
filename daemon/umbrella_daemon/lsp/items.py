"""From the daemon's answer to the inline completion items of the protocol.

Each item carries its range, because some editors otherwise insert wherever the cursor has moved
to meanwhile, and a command by which the editor tells that the item was accepted.
"""

from typing import Final

from lsprotocol import types

from umbrella_daemon.lsp.context import Question
from umbrella_daemon.lsp.positions import Units
from umbrella_daemon.wire import Completed

ACCEPTED: Final = "umbrella.accepted"


def nothing() -> types.InlineCompletionList:
    """Give the answer that shows nothing."""
    return types.InlineCompletionList(items=[])


def items(question: Question, completed: Completed, units: Units) -> types.InlineCompletionList:
    """Give the answer that shows the completed text."""
    if not completed.text:
        return nothing()
    rest = question.suffix.split("\n", 1)[0].rstrip("\r")
    replaced = rest[: completed.replace_after]
    text = completed.text
    if question.head and text.endswith(replaced):
        # the range is the menu item's own, so what the text repeats stays where it is
        text, replaced = text.removesuffix(replaced), ""
    start, end = question.range.start, question.range.end
    item = types.InlineCompletionItem(
        insert_text=question.head + text,
        range=types.Range(start, types.Position(end.line, end.character + units.count(replaced))),
        command=types.Command(
            title="Accepted", command=ACCEPTED, arguments=[question.document, len(text)]
        ),
    )
    return types.InlineCompletionList(items=[item])
