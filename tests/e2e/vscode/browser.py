"""The browser of VS Code's windows and of our own page: headless, quiet towards the network."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from tests.e2e.vscode.bootstrap import Driven

if TYPE_CHECKING:
    from playwright.async_api import Browser

FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)


@asynccontextmanager
async def start_browser(tools: Driven) -> AsyncIterator["Browser"]:
    """Run it for the time of the block."""
    if str(tools.playwright) not in sys.path:
        sys.path.append(str(tools.playwright))
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=str(tools.browser), args=[*FLAGS])
        yield browser
        await browser.close()
