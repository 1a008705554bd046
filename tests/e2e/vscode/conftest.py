"""One VS Code server and one browser for all tests; a page, and often a daemon, for each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.e2e.vscode.bootstrap import BootstrapError, Tools, prepare
from tests.e2e.vscode.browser import start_browser
from tests.e2e.vscode.server import Server
from tests.e2e.vscode.window import Window, new_page
from tests.e2e.vscode.world import World

if TYPE_CHECKING:
    from playwright.async_api import Browser

Open = Callable[..., Awaitable[Window]]
MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def tools() -> Tools:
    try:
        return prepare()
    except BootstrapError as error:
        pytest.fail(f"{error}\n`make e2e` brings what is needed.", pytrace=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def code(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """VS Code's server."""
    server = await Server.start(tools, tmp_path_factory.mktemp("code"))
    yield server
    await server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tools: Tools) -> AsyncIterator["Browser"]:
    async with start_browser(tools) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def common(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The world of all tests that need nothing special of the daemon."""
    world = World(tmp_path_factory.mktemp("vs"))
    yield world
    await world.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def make_world(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Makes a world of a script of the test's own."""
    made: list[World] = []

    def make(script: dict[str, Any] | None = None, **variables: str) -> World:
        root = tmp_path / f"w{len(made)}"
        root.mkdir()
        made.append(World(root, script, **variables))
        return made[-1]

    yield make
    for world in made:
        await world.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def open_window(
    code: Server, browser: "Browser", request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Open]:
    """Opens windows, ready to type into unless told otherwise; shows them when a test fails."""
    windows: list[Window] = []

    async def open_(
        world: World,
        files: dict[str, str] | None = None,
        file: str = "main.py",
        ready: bool = True,
        **settings: Any,
    ) -> Window:
        code.forget_settings()
        window = Window(await new_page(browser), world.project(files, **settings))
        windows.append(window)
        await window.open(code.url, file)
        if ready:
            await window.ready()
        return window

    yield open_
    for number, window in enumerate(windows):
        picture = tmp_path / f"window{number}.png"
        await window.page.screenshot(path=picture)
        print(f"{request.node.name}: {picture}", *window.console[-20:], sep="\n")
        await window.page.context.close()
