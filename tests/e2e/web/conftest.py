"""The page of `umbrella web` in a real browser, a real daemon behind it; all below tmp_path."""

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio

from tests.e2e.vscode.bootstrap import BootstrapError, prepare_browser
from tests.e2e.vscode.browser import start_browser
from tests.editor import isolated
from umbrella_daemon.client import DaemonClient, stop_daemon
from umbrella_daemon.settings import Settings, load_settings
from umbrella_daemon.wire import Status

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

DEADLINE_SECONDS: Final = 30.0
COMMAND: Final = str(Path(sys.executable).with_name("umbrella"))
HERE: Final = re.compile(r"(http://127\.0\.0\.1:\d+/|data:|blob:)")
POLICY: Final = "Content Security Policy"  # what the browser refused because of it
SIZES: Final = {"wide": (1280, 860), "phone": (390, 844)}


class Server:
    """`umbrella web`, with a daemon of its own."""

    def __init__(self, home: Path, script: dict[str, Any] | None, **variables: str) -> None:
        self.environment = isolated(home, script) | variables
        if script is None:
            del self.environment["UMBRELLA_SCRIPT"]
        self._process = subprocess.Popen(
            [COMMAND, "web", "--port", "0"],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            cwd=home,
        )
        assert self._process.stdout is not None
        opening = self._process.stdout.readline()
        assert opening.startswith("Open http://127.0.0.1:"), opening
        self.address = opening.split()[1]  # with the token

    @property
    def settings(self) -> Settings:
        return load_settings(environ=self.environment)

    async def status(self) -> Status:
        """Ask the daemon how it is."""
        client = await DaemonClient.connect(self.settings, "test", start=False)
        try:
            return await client.status(1)
        finally:
            await client.close()

    async def until_generated(self, count: int) -> None:
        """Wait until the daemon has done so many generations, and none is under way."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            status = await self.status()
            if (status.generations, status.generating) == (count, 0):
                return
            assert time.monotonic() < deadline, f"{status.generations} done, not {count}"
            await asyncio.sleep(0.05)

    async def stop(self) -> str:
        """End it as Ctrl-C does; give its last words."""
        self._process.send_signal(signal.SIGINT)
        words, _ = await asyncio.to_thread(self._process.communicate, timeout=30)
        assert self._process.returncode == 0
        await stop_daemon(self.settings)
        return words


MakeServer = Callable[..., Server]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator["Browser"]:
    try:
        driven = prepare_browser()
    except BootstrapError as error:
        pytest.fail(f"{error}\n`make e2e` brings what is needed.", pytrace=False)
    async with start_browser(driven) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def make_server(tmp_path: Path) -> AsyncIterator[MakeServer]:
    servers: list[Server] = []

    def make(script: dict[str, Any] | None, **variables: str) -> Server:
        servers.append(Server(tmp_path, script, **variables))
        return servers[-1]

    yield make
    for server in servers:
        assert "The page is closed." in await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: "Browser") -> AsyncIterator[Callable[..., Any]]:
    """Opens pages; nothing of them may ask anybody but us, or go wrong."""
    pages: list[tuple[Page, list[str]]] = []

    async def open_(server: Server, size: str = "wide", colours: str = "light") -> "Page":
        width, height = SIZES[size]
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if colours == "dark" else "light",
        )
        page = await context.new_page()
        found: list[str] = []
        pages.append((page, found))

        def note(what: str, *, wrong: bool) -> None:
            found.extend([what] if wrong else [])

        page.on("request", lambda one: note(f"asks {one.url}", wrong=not HERE.match(one.url)))
        page.on("pageerror", lambda one: note(f"error {one}", wrong=True))
        page.on("console", lambda one: note(one.text, wrong=POLICY in one.text))
        await page.goto(server.address)
        await page.locator("#chat").wait_for()
        return page

    yield open_
    for page, found in pages:
        await page.context.close()
        assert found == []
