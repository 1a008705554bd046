"""One request of the editor: what is asked, the daemon's answer, and what is noted of it.

How an answer looks in the editor is not known here.
"""

import asyncio
import logging
import time
from typing import Any

import msgspec
from lsprotocol import types

from umbrella_daemon.lsp.context import Question, Silence, ask
from umbrella_daemon.lsp.journal import trace, why
from umbrella_daemon.lsp.language_server import UmbrellaServer
from umbrella_daemon.lsp.threshold import least_confidence
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Complete, Completed, Reason, Warm

logger = logging.getLogger(__name__)


class Answer(msgspec.Struct, frozen=True):
    """What the daemon was asked, None where nothing was, and what came of it."""

    question: Question | None
    completed: Completed


async def answer(ls: UmbrellaServer, params: types.InlineCompletionParams, method: str) -> Answer:
    """Ask the daemon; a newer request of the same document and method ends this one.

    Requests of different methods do not know of each other: some editors send both at once.
    """
    started = time.perf_counter()
    ls.recorder.asked(params)
    completed = Completed(0, reason=Reason.SUPERSEDED, detail="something newer came")
    question: Question | Silence | None = None
    settings = ls.options.settings.completion
    try:
        with ls.pending.turn(params.text_document.uri, method):
            question = await ask(params, ls.protocol.documents, settings)
            if isinstance(question, Silence):
                completed = Completed(0, reason=question.reason, detail=question.detail)
            else:
                completed = await _complete(ls, question, settings, method)
    except asyncio.CancelledError:
        completed = Completed(0, reason=Reason.CANCELLED)
        raise
    finally:
        _report(ls, params, method, completed, (time.perf_counter() - started) * 1000)
    return Answer(question if isinstance(question, Question) else None, completed)


async def warm_up(ls: UmbrellaServer, params: types.InlineCompletionParams) -> None:
    """Have the daemon read the document up to a place where somebody may begin to type."""
    settings = ls.options.settings.completion
    question = await ask(params, ls.protocol.documents, settings)
    if ls.client is None or isinstance(question, Silence):
        return
    ls.sharing.tell(ls.client, ls.protocol.documents, question.document, settings)
    ls.client.tell(
        Warm(Complete(id=0, document=question.document, **_fields(ls, question, settings)))
    )


async def _complete(
    ls: UmbrellaServer, question: Question, settings: CompletionSettings, method: str
) -> Completed:
    if ls.client is None:
        return Completed(0, reason=Reason.LOADING, detail="the daemon is not connected yet")
    ls.sharing.tell(ls.client, ls.protocol.documents, question.document, settings)
    inline = method == types.TEXT_DOCUMENT_INLINE_COMPLETION
    return await ls.client.complete(
        # in the daemon, too, the newest of a document wins
        document=question.document if inline else f"{question.document}#{method}",
        **_fields(ls, question, settings),
    )


def _fields(ls: UmbrellaServer, question: Question, settings: CompletionSettings) -> dict[str, Any]:
    """Give the fields of a request besides its number and document."""
    return {
        "version": question.version,
        "language": question.language,
        "path": question.path,
        "prefix": question.prefix,
        "suffix": question.suffix,
        "explicit": question.explicit,
        "max_tokens": settings.max_tokens,
        "max_lines": settings.max_lines,
        "min_confidence": least_confidence(settings, ls.acceptance.counts),
        "candidates": settings.candidates if question.explicit else 1,
        "context": settings.context,
    }


def _report(
    ls: UmbrellaServer,
    params: types.InlineCompletionParams,
    method: str,
    completed: Completed,
    ms: float,
) -> None:
    ls.journal.record(completed)
    if ls.protocol.trace is not types.TraceValue.Off:
        verbose = ls.protocol.trace is types.TraceValue.Verbose
        ls.log_trace(trace(params, method, completed, ms, verbose))
    if completed.reason and logger.isEnabledFor(logging.DEBUG):
        text = f"{params.text_document.uri}: nothing is shown: {why(completed)}"
        ls.window_log_message(types.LogMessageParams(types.MessageType.Debug, text))
