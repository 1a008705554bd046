"""One window of VS Code as a person sees it: keys go in, what is painted is read off the page.

Nothing here waits for a fixed time; whatever is waited for has a deadline.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from tests.e2e.vscode.world import write_settings

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

SECONDS: Final = 20.0  # longest wait for anything
IMAGES: Final = Path(__file__).parents[3] / "editors" / "vscode" / "images"
SIZE: Final = (960, 540)  # of the page, in pixels
ITEM: Final = "[id='umbrella.umbrella-lsp.umbrella.status']"
BOX: Final = ".quick-input-widget:visible input[type=text]"
LOST_SECONDS: Final = 4.0  # after which a key is pressed again
FoundT = TypeVar("FoundT")

# `ghost()`: what is painted as a suggestion, line by line; `painted`: all that it has been, each
# with the time when its frame was done; `pressed`: times of keys. A new resize observer is called
# in the frame that is being made, after its layout; a message that it sends comes after its paint.
WATCH: Final = r"""() => {
  window.ghost = () => {
    const rows = new Map();
    for (const span of document.querySelectorAll("[class*='ghost-text']")) {
      const box = span.getBoundingClientRect();
      if (span.querySelector("[class*='ghost-text']") || !box.width) continue;
      const row = Math.round((box.top + box.height / 2) / 10);
      rows.set(row, (rows.get(row) ?? '') + span.textContent);
    }
    return [...rows].sort(([a], [b]) => a - b).map(([, text]) => text).join('\n')
      .replaceAll('\u00a0', ' ');
  };
  window.painted = [];
  window.pressed = [];
  document.addEventListener('keydown', () => window.pressed.push(performance.now()), true);
  let last = '', due = false;
  const done = new MessageChannel();
  done.port1.onmessage = ({ data }) => window.painted.push([data, performance.now()]);
  new MutationObserver(() => {
    if (due) return;
    due = true;
    new ResizeObserver((_, observer) => {
      observer.disconnect();
      due = false;
      const text = window.ghost();
      if (text !== last) done.port2.postMessage(last = text);
    }).observe(document.body);
  }).observe(document.body, { subtree: true, childList: true, characterData: true,
                              attributes: true, attributeFilter: ['class'] });
}"""
STATUS: Final = f"""() => {{
  const item = document.querySelector("{ITEM}");
  if (!item) return '';
  const icons = [...item.querySelectorAll('.codicon')].map((one) => [...one.classList]
    .map((name) => name.replace(/^codicon-?(modifier-)?/, '')).filter(Boolean).join('~'));
  return [...icons, item.textContent.trim()].join(' ');
}}"""


async def new_page(browser: "Browser") -> "Page":
    """Open a page with nothing of those before in it."""
    width, height = SIZE
    context = await browser.new_context(viewport={"width": width, "height": height})
    return await context.new_page()


class Window:
    """A page with a file of a project open in it."""

    def __init__(self, page: "Page", project: Path) -> None:
        self.page = page
        self.project = project
        self.console: list[str] = []
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))

    async def open(self, url: str, file: str) -> None:
        """Load the workbench and put the cursor at the end of `file`."""
        host = url.removeprefix("http://").rstrip("/")
        payload = [["openFile", f"vscode-remote://{host}{self.project / file}"]]
        query = f"?folder={self.project}&payload={quote(json.dumps(payload))}"
        await self.page.goto(url + query)
        await self.page.wait_for_selector(ITEM, timeout=SECONDS * 1000)
        await self.page.evaluate(WATCH)

    async def ready(self) -> None:
        """Wait for the model, and put the cursor at the end of the text."""
        await self.until_status("sparkle Umbrella")
        await self.focus()

    async def show(self, file: str) -> None:
        """Open another file, with a double click in the explorer."""
        row = f".explorer-folders-view .monaco-list-row:has-text('{file}')"
        await self.page.dblclick(row, timeout=SECONDS * 1000)
        await self.page.wait_for_selector(f".tab.active:has-text('{file}')")

    async def focus(self) -> None:
        """Click into the editor and go to the end of the text."""
        await self.page.click(".editor-instance .view-lines", timeout=SECONDS * 1000)
        await self.press("Control+End")

    async def type(self, text: str, delay_ms: float = 30) -> None:
        """Press the keys of `text` one by one."""
        await self.page.keyboard.type(text, delay=delay_ms)

    async def press(self, *keys: str) -> None:
        """Press keys, as in "Control+s"."""
        for key in keys:
            await self.page.keyboard.press(key)

    async def run(self, title: str, category: str = "Umbrella") -> None:
        """Run a command from the palette."""
        box = self.page.locator(BOX)
        pressed = 0.0

        async def opened() -> bool:
            nonlocal pressed
            if await box.count():
                return True
            if time.monotonic() - pressed > LOST_SECONDS:  # a young window may lose a key
                await self.press("F1")
                pressed = time.monotonic()
            return False

        await self.until("the palette", opened)
        await self.pick(title, f">{category}: {title}")

    async def pick(self, label: str, search: str = "") -> None:
        """Choose from the list that is open, by typing what is looked for."""
        box = self.page.locator(BOX)
        await box.fill(search or label, timeout=SECONDS * 1000)
        row = self.page.locator(f".quick-input-list .monaco-list-row.focused:has-text('{label}')")
        await row.wait_for(timeout=SECONDS * 1000)
        await self.press("Enter")

    async def menu(self) -> None:
        """Open Umbrella's own menu, by its item in the status bar."""
        await self.page.click(ITEM)
        await self.page.wait_for_selector(".quick-input-list >> text=Restart server")

    async def ghost(self) -> str:
        """Give the suggestion that is painted now, "" where there is none."""
        return str(await self.page.evaluate("window.ghost()"))

    async def painted(self) -> list[tuple[str, float]]:
        """Give all that was painted as a suggestion so far, with the times in ms."""
        return [(str(text), float(ms)) for text, ms in await self.page.evaluate("window.painted")]

    async def pressed(self) -> list[float]:
        """Give the times of all keys so far, in ms."""
        return [float(ms) for ms in await self.page.evaluate("window.pressed")]

    async def status(self) -> str:
        """Give what Umbrella says in the status bar: icons and text."""
        return str(await self.page.evaluate(STATUS))

    async def until(
        self,
        what: str,
        read: Callable[[], Awaitable[FoundT]],
        fits: Callable[[FoundT], object] = bool,
    ) -> FoundT:
        """Wait until what is read fits, and give it; fails with `what` and what was read."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = await read()
            if fits(found):
                return found
            assert time.monotonic() < deadline, f"{what} did not come about; last: {found!r}"
            await asyncio.sleep(0.02)

    async def until_ghost(self, text: str) -> None:
        """Wait until exactly this suggestion is painted."""
        await self.until(f"the suggestion {text!r}", self.ghost, text.__eq__)

    async def until_status(self, text: str) -> str:
        """Wait until the status bar's item contains `text`; give all of it."""
        return await self.until(f"the status {text!r}", self.status, lambda found: text in found)

    async def until_notified(self, text: str) -> None:
        """Wait until a notification contains `text`."""

        async def read() -> list[str]:
            return [*(await self.page.locator(".notification-list-item").all_inner_texts())]

        await self.until(f"a notification {text!r}", read, lambda found: text in "".join(found))

    async def until_saved(self, text: str, file: str = "main.py") -> None:
        """Save, and wait until the file holds `text`."""
        await self.press("Control+s")

        async def read() -> str:
            return (self.project / file).read_text()

        await self.until(f"{text!r} in {file}", read, text.__eq__)

    async def picture(self, name: str, below: int = 0) -> None:
        """Take a picture for the README, where UMBRELLA_E2E_PICTURES asks for new ones.

        It has what is below so many pixels.
        """
        if os.environ.get("UMBRELLA_E2E_PICTURES"):
            await self.page.mouse.move(480, 400)  # no tooltips
            width, height = SIZE
            clip = {"x": 0, "y": below, "width": width, "height": height - below}
            await self.page.screenshot(path=IMAGES / f"{name}.png", clip=clip)

    def set(self, **settings: object) -> None:
        """Change settings of Umbrella in the workspace."""
        write_settings(self.project, **settings)
