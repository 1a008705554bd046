"""Suggestions as entries of the editor's completion menu, for those who want them there.

Offered only where `completion.menu` is on: at once and for good to editors that take the server's
abilities once, and whenever the setting changes to those that take changes.
"""

import logging
import re
from typing import Final

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from umbrella_daemon.lsp.answering import answer
from umbrella_daemon.lsp.context import Question
from umbrella_daemon.lsp.items import accepted, replaced
from umbrella_daemon.lsp.language_server import UmbrellaServer
from umbrella_daemon.lsp.positions import Units
from umbrella_daemon.wire import Completed

logger = logging.getLogger(__name__)

METHOD: Final = types.TEXT_DOCUMENT_COMPLETION
OPTIONS: Final = types.CompletionOptions(trigger_characters=[*" .,:=([{<>/\"'"])
LABEL_CHARACTERS: Final = 60
TO_THE_TOP: Final = "!"  # sorts before letters and digits
_REGISTRATION: Final = "umbrella-menu"
_WORD: Final = re.compile(r"\w*\Z")


async def completion(ls: UmbrellaServer, params: types.CompletionParams) -> types.CompletionList:
    """Give one entry, or none; the editor asks again with the next character."""
    if not ls.options.settings.completion.menu:
        return types.CompletionList(is_incomplete=False, items=[])
    request = types.InlineCompletionParams(
        # an editor calls typed letters a request by key, too
        types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
        params.text_document,
        params.position,
    )
    found = await answer(ls, request, METHOD)
    entries = []
    if found.question is not None and found.completed.text:
        entries.append(entry(found.question, found.completed, ls.protocol.documents.units))
    return types.CompletionList(is_incomplete=True, items=entries)


def entry(question: Question, completed: Completed, units: Units) -> types.CompletionItem:
    """Give the entry: it replaces the word before the cursor, by which the menu is filtered."""
    text = completed.text
    word = _WORD.search(question.prefix.rpartition("\n")[2])
    assert word is not None  # it may be empty
    whole = word[0] + text
    first, *more = whole.strip().split("\n")
    start, end = question.range.start, question.range.end
    behind = units.count(replaced(question, completed.replace_after))
    return types.CompletionItem(
        label=first if len(first) <= LABEL_CHARACTERS else f"{first[: LABEL_CHARACTERS - 1]}…",
        label_details=types.CompletionItemLabelDetails(
            detail=f" +{len(more)} line{'s' * (len(more) > 1)}" if more else None,
            description="Umbrella",
        ),
        kind=types.CompletionItemKind.Text,
        documentation=types.MarkupContent(
            types.MarkupKind.Markdown, _code_block(whole, question.language)
        ),
        sort_text=TO_THE_TOP,
        filter_text=whole.partition("\n")[0] or None,
        insert_text_format=types.InsertTextFormat.PlainText,
        insert_text_mode=types.InsertTextMode.AsIs,
        text_edit=types.TextEdit(
            types.Range(
                types.Position(start.line, start.character - units.count(word[0])),
                types.Position(end.line, end.character + behind),
            ),
            whole,
        ),
        command=accepted(question, text),
    )


def offer_for_good(ls: UmbrellaServer) -> None:
    """Announce the menu among the server's abilities, where that is the only way to do so."""
    if ls.options.settings.completion.menu and not _dynamic(ls):
        ls.feature(METHOD, OPTIONS)(completion)
        ls.offers_menu = True


async def follow_setting(ls: UmbrellaServer) -> None:
    """Offer the menu from now on, or no longer, as the setting says."""
    wanted, offered = ls.options.settings.completion.menu, ls.offers_menu
    if not _dynamic(ls):
        if wanted and not offered:
            ls.show(
                "Umbrella: this editor learns of completion.menu only while it starts the server; "
                "set it in the initialization options or in the settings file and start it again.",
                types.MessageType.Info,
            )
        return
    if wanted == offered:
        return
    ls.offers_menu = wanted
    if METHOD not in ls.protocol.fm.features:
        ls.feature(METHOD)(completion)
    try:
        if wanted:
            registration = types.Registration(_REGISTRATION, METHOD, OPTIONS)
            await ls.client_register_capability_async(types.RegistrationParams([registration]))
        else:
            gone = types.Unregistration(_REGISTRATION, METHOD)
            await ls.client_unregister_capability_async(types.UnregistrationParams([gone]))
    except JsonRpcException as error:
        logger.warning("the editor does not change its menu: %s", error)


def _dynamic(ls: UmbrellaServer) -> bool:
    document = ls.client_capabilities.text_document
    menu = document and document.completion
    return bool(menu and menu.dynamic_registration)


def _code_block(code: str, language: str) -> str:
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", code))])
    name = re.sub(r"[^\w+#.-]", "", language)
    return f"{fence}{name}\n{code}\n{fence}"
