"""What a person sees and does on the page."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import platformdirs
import pytest

from tests.e2e.web.conftest import MakeServer

pytest.importorskip("gradio", reason="the extra `web` is not installed")

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [
    pytest.mark.editor,
    pytest.mark.asyncio(loop_scope="session"),
]

ANSWER: Final = "Some **text**.\n\n```python\ndef f():\n    return 1\n```\n\nThe end."
COMPLETION: Final = "return total / len(values)"
SCRIPT: Final = {
    "answers": [{"ends_with": "total += value\n    ", "text": f"{COMPLETION}\n"}],
    "default": ANSWER,
    "step_ms": 5,
}
PICTURES: Final = Path(__file__).parents[3] / "daemon" / "images"


async def say(page: "Page", text: str) -> None:
    box = page.locator("#message textarea")
    await box.fill(text)
    await box.press("Enter")


async def no_sideways(page: "Page") -> None:
    """The page is never wider than the window."""
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(width) <= 0


async def test_chat_completion_and_figures(make_server: MakeServer, open_page: Any) -> None:
    server = make_server(SCRIPT)
    for number, (size, colours) in enumerate([("wide", "light"), ("phone", "dark")], 1):
        page = await open_page(server, size, colours)
        await say(page, "hello")
        await page.locator("#chat code", has_text="return 1").wait_for()
        await page.locator("#chat", has_text="The end.").wait_for()
        await page.locator("#figures", has_text="accepted/step").wait_for()
        await no_sideways(page)

        await page.get_by_role("tab", name="Completion").click()
        await page.get_by_role("button", name="Complete").click()
        ghost = page.locator("#completion .umbrella-ghost")
        await ghost.wait_for()
        assert await ghost.inner_text() == COMPLETION
        assert await page.locator("#completion .umbrella-node.kept").count() > 10
        await no_sideways(page)

        await page.get_by_role("tab", name="Figures").click()
        await page.locator("#figures-of-all", has_text=f"{number} done, 0 under way").wait_for()
        await no_sideways(page)
        colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in re.findall(r"\d+", colour)[:3])
        assert (brightness < 200) == (colours == "dark")
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(f"{server.address.partition('?')[0]}config")).status_code == 401


async def test_stop_keeps_the_text_retry_answers_again_and_leaving_ends_it(
    make_server: MakeServer, open_page: Any
) -> None:
    server = make_server({"default": "word " * 40000, "step_ms": 20})
    page = await open_page(server)
    await say(page, "hello")
    await page.locator("#chat", has_text="word word").wait_for()
    await page.locator("#message .stop-button").click()
    await server.until_generated(1)
    kept = await page.locator("#chat .bot").last.inner_text()
    assert kept.startswith("word word")
    await page.get_by_role("button", name="Retry").click()
    await page.locator("#message .stop-button").wait_for()
    await page.locator("#chat", has_text="word word").wait_for()
    await page.goto("about:blank")
    await server.until_generated(2)


async def test_sampling_and_system_prompt_reach_the_model(
    make_server: MakeServer, open_page: Any
) -> None:
    server = make_server(
        {
            "answers": [
                {"ends_with": "System: Be brief.\n\nUser: hello\n\nAssistant:", "text": "ok"}
            ],
            "default": "no system prompt",
        }
    )
    page = await open_page(server, "phone")
    controls = page.get_by_role("button", name="System prompt and sampling")
    for _ in range(20):  # while the page is still being made a click is lost
        if await page.get_by_label("System prompt").is_visible():
            break
        await controls.click()
        await page.wait_for_timeout(250)
    await page.get_by_label("System prompt").fill("Be brief.")
    await page.get_by_label("Longest answer").fill("1")
    await say(page, "hello")
    await page.locator("#figures", has_text="Cut after 1 tokens.").wait_for()
    assert (await page.locator("#chat .bot").last.inner_text()).strip() == "o"


@pytest.mark.weights
@pytest.mark.timeout(300)
async def test_the_embedded_default_chats_and_completes(
    make_server: MakeServer, open_page: Any
) -> None:
    """The real thing; pictures for the README, where UMBRELLA_E2E_PICTURES asks for new ones."""
    cache = platformdirs.user_cache_path("umbrella", appauthor=False) / "models"
    server = make_server(
        None,
        UMBRELLA_PAIR="smollm2",
        UMBRELLA_ENGINE__DEVICE="cpu",
        UMBRELLA_MODELS__DIRECTORY=os.environ.get("UMBRELLA_MODELS__DIRECTORY", str(cache)),
    )
    for size, colours in (("wide", "light"), ("phone", "dark")):
        page = await open_page(server, size, colours)
        page.set_default_timeout(120_000)
        await say(page, "Write a Python function that counts the words of a text.")
        await page.locator("#chat code", has_text="def ").first.wait_for()
        await page.get_by_role("button", name="Retry").wait_for()
        await page.locator("#message .submit-button").wait_for()
        await _picture(page, f"web-chat-{size}")
        await page.get_by_role("tab", name="Completion").click()
        await page.get_by_role("button", name="Complete").click()
        await page.locator("#completion .umbrella-node").first.wait_for()
        assert "return" in await page.locator("#completion .umbrella-ghost").inner_text()
        await _picture(page, f"web-completion-{size}")


async def _picture(page: "Page", name: str) -> None:
    if os.environ.get("UMBRELLA_E2E_PICTURES"):
        await page.mouse.move(5, 5)
        await page.screenshot(path=PICTURES / f"{name}.png")
