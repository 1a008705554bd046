"""What the server does at each message of the editor; documents are followed in `protocol`."""

import asyncio
import logging
from typing import Final

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from umbrella_daemon.lsp import copilot, menu, requests
from umbrella_daemon.lsp.answering import answer
from umbrella_daemon.lsp.items import ACCEPTED, items, nothing
from umbrella_daemon.lsp.language_server import UmbrellaServer
from umbrella_daemon.lsp.options import SECTION, section

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 5.0  # with an editor that is asked for its configuration


def initialize(ls: UmbrellaServer, params: types.InitializeParams) -> None:
    """Take the editor's options and its process."""
    ls.options.initialize(params.initialization_options)
    ls.watch(params.process_id)
    menu.offer_for_good(ls)


async def initialized(ls: UmbrellaServer, params: types.InitializedParams) -> None:
    """Tell the state from the first moment on, and get ready for the first request."""
    ls.journal.enable(ls.options.settings.completion.enabled)
    capabilities = ls.client_capabilities
    if capabilities.window and capabilities.window.work_done_progress:
        ls.in_background(ls.bars.run())
    workspace = capabilities.workspace
    dynamic = workspace and workspace.did_change_configuration
    if dynamic and dynamic.dynamic_registration:
        ls.in_background(_subscribe(ls))
    if workspace and workspace.configuration:
        ls.options.configure(await _configuration(ls))
        ls.journal.enable(ls.options.settings.completion.enabled)
    ls.recorder.follow(ls.options.settings)
    ls.in_background(menu.follow_setting(ls))
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
    ls.in_background(menu.follow_setting(ls))
    ls.follow_settings()


async def inline_completion(
    ls: UmbrellaServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Give the text at the cursor, several where the user asked by a key, or an empty list."""
    found = await answer(ls, params, types.TEXT_DOCUMENT_INLINE_COMPLETION)
    if found.question is None:
        return nothing()
    return items(found.question, found.completed, ls.protocol.documents.units)


def register(server: UmbrellaServer) -> None:
    """Make `server` answer; capabilities follow from what is registered."""
    server.feature(types.INITIALIZE)(initialize)
    server.feature(types.INITIALIZED)(initialized)
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    # without options the capability would not be advertised
    options = types.InlineCompletionOptions()
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, options)(inline_completion)
    requests.register(server)
    copilot.register(server)

    @server.command(ACCEPTED)
    def accepted(*arguments: str) -> None:  # of any type; the library wants to see a class
        server.acceptance.accept(arguments)
        server.recorder.accepted()


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
