"""Both versions of Neovim, and one daemon for all tests that need nothing special of it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.neovim import bootstrap
from tests.e2e.neovim.session import SETUP, Neovim, neovim
from tests.editor import isolated
from umbrella_daemon.client import stop_daemon
from umbrella_daemon.settings import load_settings

WHOLE = "def add(a, b):"
SCRIPT: dict[str, Any] = {
    "answers": [
        {"ends_with": f"{WHOLE}\n    ", "text": "return a + b"},
        {"ends_with": "def sub", "text": "(a, b):\n    return a - b"},
        *({"ends_with": WHOLE[:end], "text": WHOLE[end:]} for end in range(6, len(WHOLE))),
        {"ends_with": "total = ", "text": "price * amount + tax"},
        {"ends_with": "mean = ", "text": "a / b", "others": ["sum(a)", "mid(b)"]},
        {"ends_with": "print(", "text": "a, b)"},
        {"ends_with": "größe = ", "text": "länge * höhe"},
    ],
    "default": "",
}

Start = Callable[..., AbstractContextManager[Neovim]]


@pytest.fixture(scope="session", params=bootstrap.VERSIONS)
def binary(request: pytest.FixtureRequest) -> Path:
    """Neovim's executable, each version in turn."""
    return bootstrap.neovim(request.param)


@pytest.fixture(scope="session")
def newest() -> Path:
    """Neovim 0.12."""
    return bootstrap.neovim("0.12")


@contextmanager
def world(home: Path, script: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Give an environment whose daemon follows a script; the daemon is gone afterwards."""
    environment = isolated(home, script)
    settings = home / "none.toml"
    settings.touch()
    try:
        yield environment
    finally:
        asyncio.run(stop_daemon(load_settings(environ=environment, path=settings)))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of the common daemon."""
    with world(tmp_path_factory.mktemp("nvim"), SCRIPT) as environment:
        yield environment


@pytest.fixture
def start(binary: Path, shared: dict[str, str], tmp_path: Path) -> Start:
    """Start a Neovim with the common daemon; takes Lua code for init.lua."""

    def begin(init: str = SETUP) -> AbstractContextManager[Neovim]:
        return neovim(binary, shared | {"HOME": str(tmp_path)}, init)

    return begin


@pytest.fixture
def editor(start: Start, tmp_path: Path) -> Iterator[Neovim]:
    """A Neovim with an empty Python file and a server that is ready."""
    with start() as one:
        one.open(tmp_path / "main.py")
        yield one
