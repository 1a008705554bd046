"""Errors as answers: a status and one sentence, in the shape that the asked API has for them."""

from typing import Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from umbrella_daemon.link import DaemonError, RequestRefused
from umbrella_daemon.wire import Fault, Reason

TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    500: "server_error",
    503: "unavailable_error",
}
STATUS_OF_FAULT: Final = {
    Fault.REQUEST: 400,
    Fault.LOADING: 503,
    Fault.FAILED: 503,
    Fault.BACKEND_DOWN: 503,
    Fault.INTERNAL: 500,
}
CLIENT_GONE: Final = 499  # nobody reads it


class ApiError(Exception):
    """What is answered instead of what was asked for; `code` is a word for programs."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


def body_of(path: str, status: int, message: str, code: str | None = None) -> dict[str, object]:
    """Give the body of an error; Ollama's paths have a shape of their own."""
    if path.startswith("/api/"):
        return {"error": message}
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code or status}}


def answer(request: Request, error: Exception) -> JSONResponse:
    """Answer with an `ApiError`, or with what the daemon could not do."""
    if isinstance(error, ApiError):
        return _answer(request, error.status, error.message, error.code)
    if isinstance(error, HTTPException):
        return _answer(request, error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError):
        return _answer(request, 422, _explained(error))
    if isinstance(error, RequestRefused):
        return _answer(request, 413 if error.reason == Reason.TOO_LARGE else 400, str(error))
    assert isinstance(error, DaemonError)
    return _answer(request, 503, str(error))


def _answer(request: Request, status: int, message: str, code: str | None = None) -> JSONResponse:
    return JSONResponse(body_of(request.url.path, status, message, code), status)


def _explained(error: RequestValidationError) -> str:
    """Say which field is wrong and why; never what it held."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return f"{place}: {first['msg']}" if place else str(first["msg"])
