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
    """Give the answer that shows the completed text, and the alternatives to it behind it."""
    if not completed.text:
        return nothing()
    candidates = [(completed.text, completed.replace_after)]
    candidates += [(one.text, one.replace_after) for one in completed.alternatives]
    return types.InlineCompletionList(
        items=[
            _item(question, text, replaced(question, count), units) for text, count in candidates
        ]
    )


def replaced(question: Question, count: int) -> str:
    """Give the first `count` characters after the cursor, no more than its line has."""
    return question.suffix.split("\n", 1)[0].rstrip("\r")[:count]


def accepted(question: Question, text: str) -> types.Command:
    """Give the command by which the editor tells that `text` was accepted."""
    return types.Command(
        title="Accepted", command=ACCEPTED, arguments=[question.document, len(text)]
    )


def _item(question: Question, text: str, behind: str, units: Units) -> types.InlineCompletionItem:
    if question.head and text.endswith(behind):
        # the range is the menu item's own, so what the text repeats stays where it is
        text, behind = text.removesuffix(behind), ""
    start, end = question.range.start, question.range.end
    return types.InlineCompletionItem(
        insert_text=question.head + text,
        range=types.Range(start, types.Position(end.line, end.character + units.count(behind))),
        command=accepted(question, text),
    )
