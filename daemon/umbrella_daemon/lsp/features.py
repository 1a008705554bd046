"""What the server does at each message of the editor; documents are followed in `protocol`."""

import asyncio
import logging
import time
from typing import Any, Final

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from umbrella_daemon.client import DaemonError
from umbrella_daemon.lsp.context import Question, Silence, ask
from umbrella_daemon.lsp.items import ACCEPTED, items
from umbrella_daemon.lsp.journal import trace, why
from umbrella_daemon.lsp.language_server import STATUS, UmbrellaServer
from umbrella_daemon.lsp.options import SECTION, section
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Completed, Reason

logger = logging.getLogger(__name__)

DEFAULT_TRACES: Final = 20
PATIENCE_SECONDS: Final = 5.0  # with an editor that is asked for its configuration


def initialize(ls: UmbrellaServer, params: types.InitializeParams) -> None:
    """Take the editor's options and its process."""
    ls.options.initialize(params.initialization_options)
    ls.watch(params.process_id)


async def initialized(ls: UmbrellaServer, params: types.InitializedParams) -> None:
    """Get ready for the first request."""
    capabilities = ls.client_capabilities
    if capabilities.window and capabilities.window.work_done_progress:
        ls.in_background(ls.bars.run())
    workspace = capabilities.workspace
    dynamic = workspace and workspace.did_change_configuration
    if dynamic and dynamic.dynamic_registration:
        ls.in_background(_subscribe(ls))
    if workspace and workspace.configuration:
        ls.options.configure(await _configuration(ls))
    ls.in_background(ls.connect())


async def did_change_configuration(
    ls: UmbrellaServer, params: types.DidChangeConfigurationParams
) -> None:
    """Take new settings: those pushed by the editor, else those it has when asked."""
    workspace = ls.client_capabilities.workspace
    if pushed := section(params.settings):
        changed = ls.options.configure(pushed)
    elif workspace and workspace.configuration:
        changed = ls.options.configure(await _configuration(ls))
    else:
        return
    if changed:
        ls.show(
            f"Umbrella: {', '.join(changed)} changed; a daemon that runs keeps the old value until "
            "`umbrella stop`, the next request then starts it with the new one.",
            types.MessageType.Info,
        )
        ls.in_background(ls.connect())


async def inline_completion(
    ls: UmbrellaServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Give the text at the cursor, or an empty list."""
    started = time.perf_counter()
    shown = types.InlineCompletionList(items=[])
    completed = Completed(0, reason=Reason.SUPERSEDED, detail="something newer came")
    settings = ls.options.settings.completion
    try:
        with ls.pending.turn(params.text_document.uri):
            question = await ask(params, ls.protocol.documents, settings)
            if isinstance(question, Silence):
                completed = Completed(0, reason=question.reason, detail=question.detail)
            else:
                completed = await _complete(ls, question, settings)
                shown = items(question, completed, ls.protocol.documents.units)
    except asyncio.CancelledError:
        completed = Completed(0, reason=Reason.CANCELLED)
        raise
    finally:
        _report(ls, params, completed, (time.perf_counter() - started) * 1000)
    return shown


async def status(ls: UmbrellaServer, params: Any) -> dict[str, Any]:
    """Tell everything: the state, the counts of this window, and the daemon's own account."""
    traces = getattr(params, "traces", None)
    account = await _account(ls, traces if isinstance(traces, int) else DEFAULT_TRACES)
    return ls.journal.state | ls.journal.counts | {"daemon": account}


def register(server: UmbrellaServer) -> None:
    """Make `server` answer; capabilities follow from what is registered."""
    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.INITIALIZED)(initialized)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    # without options the capability would not be advertised
    options = types.InlineCompletionOptions()
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, options)(inline_completion)
    server.feature(STATUS)(status)

    @server.command(ACCEPTED)
    def accepted(*arguments: str) -> None:  # of any type; the library wants to see a class
        server.journal.accepted += 1


async def _complete(
    ls: UmbrellaServer, question: Question, settings: CompletionSettings
) -> Completed:
    if ls.client is None:
        return Completed(0, reason=Reason.LOADING, detail="the daemon is not connected yet")
    return await ls.client.complete(
        document=question.document,
        version=question.version,
        language=question.language,
        path=question.path,
        prefix=question.prefix,
        suffix=question.suffix,
        explicit=question.explicit,
        max_tokens=settings.max_tokens,
        max_lines=settings.max_lines,
    )


async def _account(ls: UmbrellaServer, traces: int) -> dict[str, Any] | None:
    """Ask the daemon for its status; None where there is no daemon."""
    if ls.client is None or not ls.client.connected:
        return None
    try:
        account: dict[str, Any] = msgspec.to_builtins(await ls.client.status(traces=traces))
    except DaemonError as error:
        logger.info("no status of the daemon: %s", error)
        return None
    for frame in (account, account["phase"]):
        for key in ("t", "id"):  # of the frame, not of the daemon
            frame.pop(key, None)
    return account


def _report(
    ls: UmbrellaServer, params: types.InlineCompletionParams, completed: Completed, ms: float
) -> None:
    ls.journal.record(completed)
    if ls.protocol.trace is not types.TraceValue.Off:
        verbose = ls.protocol.trace is types.TraceValue.Verbose
        ls.log_trace(trace(params, completed, ms, verbose))
    if completed.reason and logger.isEnabledFor(logging.DEBUG):
        text = f"{params.text_document.uri}: nothing is shown: {why(completed)}"
        ls.window_log_message(types.LogMessageParams(types.MessageType.Debug, text))


async def _configuration(ls: UmbrellaServer) -> object:
    """Ask the editor for its settings; None where it does not answer."""
    wanted = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await ls.workspace_configuration_async(wanted)
    except (TimeoutError, JsonRpcException) as error:
        logger.warning("the editor does not give its configuration: %r", error)
        return None
    return answer[0] if answer else None


async def _subscribe(ls: UmbrellaServer) -> None:
    """Ask to be told when the settings change; some editors tell nobody else."""
    options = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
    wanted = types.Registration(
        "umbrella-configuration", types.WORKSPACE_DID_CHANGE_CONFIGURATION, options
    )
    try:
        await ls.client_register_capability_async(types.RegistrationParams([wanted]))
    except JsonRpcException as error:
        logger.info("the editor does not report changed settings: %s", error)
