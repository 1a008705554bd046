"""The application: every route behind one guard, errors in one place, its own description."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from umbrella_daemon import __version__
from umbrella_daemon.api import (
    errors,
    llama_cpp,
    llama_info,
    models,
    ollama,
    openai_chat,
    openai_completions,
)
from umbrella_daemon.api.desk import Desk
from umbrella_daemon.api.documentation import add_documentation
from umbrella_daemon.api.errors import ApiError
from umbrella_daemon.api.guard import Guard
from umbrella_daemon.client import DaemonClient
from umbrella_daemon.link import DaemonError
from umbrella_daemon.settings import ApiSettings

SUMMARY = "The resident pair in the shapes of OpenAI, llama.cpp and Ollama."


def create_app(daemon: DaemonClient, settings: ApiSettings, token: str) -> FastAPI:
    """Give the application over `daemon`; with `token` "" none is asked for."""
    app = FastAPI(
        title="Umbrella", summary=SUMMARY, version=__version__, docs_url=None, redoc_url=None
    )
    app.state.desk = Desk(daemon, settings)
    for module in (openai_completions, openai_chat, models, llama_cpp, llama_info, ollama):
        app.include_router(module.router)
    add_documentation(app)
    for kind in (ApiError, DaemonError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, errors.answer)
    app.add_middleware(Guard, token=token, max_body_bytes=int(settings.max_body_mb * 1e6))
    return app
