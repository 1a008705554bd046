"""JSON-RPC under the language server: every request is answered, whatever it holds.

pygls leaves requests without an answer when their parameters do not fit, when they are no valid
JSON-RPC, and after `shutdown`; here each gets the error that the protocol names. Open documents go
to our own store, and `exit` sets a status instead of raising in the middle of the loop.
"""

import contextvars
import json
import logging
from collections.abc import Callable, Generator
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol, lsp_method

from umbrella_daemon.lsp.documents import Documents
from umbrella_daemon.lsp.leniency import adapt
from umbrella_daemon.lsp.positions import Units

logger = logging.getLogger(__name__)


class Protocol(LanguageServerProtocol):
    """The connection with one editor."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.documents = Documents()
        # called with the URI of each document whose text is different from now on, or gone
        self.changed: Callable[[str], None] = lambda uri: None
        self.exit_code: int | None = None  # set once the editor has said `exit`

    @property
    def stopping(self) -> bool:
        """Whether the editor has said `shutdown`."""
        return self._shutdown

    def receive(self, body: bytes) -> None:
        """Handle the body of one message.

        What is handled by a coroutine begins when the event loop runs next.
        """
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            self._refuse(None, types.ErrorCodes.ParseError, f"not JSON: {error}")
            return
        if problem := _malformed(data):
            self._refuse(None, types.ErrorCodes.InvalidRequest, problem)
            return
        identity, method = data.get("id"), data.get("method")
        if method is not None:
            if identity is not None and (refusal := self._closed_to(method)):
                self._refuse(identity, *refusal)
                return
            data["params"] = adapt(method, data.get("params"))
        try:
            message = self.structure_message(data)
        except JsonRpcException as error:
            self._unusable(identity, method, error)
            return
        try:
            self.handle_message(message)
        except Exception:  # an answer, say, to a question of ours that has been given up
            logger.exception("%s could not be handled", method or "an answer")

    def handle_message(self, message: Any) -> None:
        """Run the handler of a message, in a context of its own.

        As the library does, except that it tells kinds of messages by structural type checks of
        13 µs each.
        """
        context = contextvars.copy_context()
        method: str | None = getattr(message, "method", None)
        identity: Any = getattr(message, "id", None)
        if method is None:
            result, error = getattr(message, "result", None), getattr(message, "error", None)
            context.run(self._handle_response, identity, result, error)
        elif identity is None:
            context.run(self._handle_notification, method, message.params)
        else:
            context.run(self._handle_request, identity, method, message.params)

    def _handle_cancel_notification(self, msg_id: str | int) -> None:
        # what was answered meanwhile needs neither cancelling nor the library's warning
        if msg_id in self._request_futures:
            super()._handle_cancel_notification(msg_id)

    def _closed_to(self, method: str) -> tuple[types.ErrorCodes, str] | None:
        if self._shutdown:
            return types.ErrorCodes.InvalidRequest, "the server is shutting down"
        initialized = self._workspace is not None
        if initialized and method == types.INITIALIZE:
            return types.ErrorCodes.InvalidRequest, "initialize may be sent only once"
        if not initialized and method != types.INITIALIZE:
            return types.ErrorCodes.ServerNotInitialized, "initialize has to come first"
        return None

    def _unusable(self, identity: Any, method: str | None, error: JsonRpcException) -> None:
        """Answer a request, or end the wait for an answer, whose content does not fit."""
        if identity is None:
            logger.warning("%s is ignored: its parameters do not fit", method)
        elif method is not None:
            reason = f"{method}: the parameters do not fit: {_innermost(error)}"
            self._refuse(identity, types.ErrorCodes.InvalidParams, reason)
        elif future := self._request_futures.pop(identity, None):
            future.set_exception(error)

    def _refuse(self, identity: Any, code: types.ErrorCodes, message: str) -> None:
        logger.warning("request %s is refused: %s", identity, message)
        # as a dictionary, because the library leaves an id of null out
        error = {"code": code.value, "message": message}
        self._send_data({"jsonrpc": "2.0", "id": identity, "error": error})

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(
        self, params: types.InitializeParams
    ) -> Generator[Any, Any, types.InitializeResult]:
        """Agree on capabilities, on the unit of columns among them."""
        self.trace = params.trace or types.TraceValue.Off
        result = yield from super().lsp_initialize(params)
        if result.capabilities.position_encoding:
            self.documents.units = Units(result.capabilities.position_encoding)
        return result

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, params: types.DidOpenTextDocumentParams
    ) -> None:
        """Take a document over from the editor."""
        self.documents.open(params.text_document)
        self.changed(params.text_document.uri)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, params: types.DidChangeTextDocumentParams
    ) -> None:
        """Follow an edit."""
        if self.documents.change(params.text_document, params.content_changes):
            self.changed(params.text_document.uri)

    @lsp_method(types.TEXT_DOCUMENT_DID_SAVE)
    def lsp_text_document__did_save(self, params: types.DidSaveTextDocumentParams) -> None:
        """Take the whole text where the editor sends it along."""
        uri = params.text_document.uri
        if params.text is not None and self.documents.save(uri, params.text):
            self.changed(uri)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, params: types.DidCloseTextDocumentParams
    ) -> None:
        """Forget a document."""
        self.documents.close(params.text_document.uri)
        self.changed(params.text_document.uri)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *args: Any) -> None:  # type: ignore[override]  # no generator
        """Ask the loop to end, with the status that the protocol wants."""
        self.exit_code = 0 if self._shutdown else 1


def _malformed(data: Any) -> str | None:
    if not isinstance(data, dict) or data.get("jsonrpc") != "2.0":
        return 'a message is one object with "jsonrpc": "2.0"'
    if "method" in data and not isinstance(data["method"], str):
        return "method has to be a string"
    if type(data.get("id", "")) not in (str, int) and ("method" in data or data["id"] is not None):
        return "id has to be a string or a whole number"
    if "method" not in data and "id" not in data:
        return "a message has a method or an id"
    return None


def _innermost(error: BaseException) -> BaseException:
    """Give the first thing that went wrong, below groups and causes."""
    if isinstance(error, BaseExceptionGroup):
        return _innermost(error.exceptions[0])
    return _innermost(error.__cause__) if error.__cause__ else error
