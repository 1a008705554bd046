from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from umbrella_daemon.web.guard import Guard

ADDRESS = "http://127.0.0.1:8013"


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("the page")(scope, receive, send)


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    guarded = httpx.ASGITransport(Guard(page, "right", "umbrella-web-8013"))
    async with httpx.AsyncClient(transport=guarded, base_url=ADDRESS) as browser:
        yield browser


async def test_the_token_becomes_a_cookie(browser: httpx.AsyncClient) -> None:
    entered = await browser.get("/?token=right")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await browser.get("/")).text == "the page"


@pytest.mark.parametrize("path", ["/", "/config", "/?token=wrong", "/?token=", "/?token=r%C3%A4t"])
async def test_without_it_there_is_nothing(browser: httpx.AsyncClient, path: str) -> None:
    refused = await browser.get(path)
    assert refused.status_code == 401
    assert "umbrella web" in refused.text


@pytest.mark.parametrize("cookie", ["umbrella-web-8013=wrong", "umbrella-web-8014=right", "=;;"])
async def test_another_cookie_is_none(browser: httpx.AsyncClient, cookie: str) -> None:
    assert (await browser.get("/", headers={"Cookie": cookie})).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8013", 303),
        ("[::1]:8013", 303),
        ("127.0.0.1", 303),
        ("example.org", 403),
        ("127.0.0.1.example.org:8013", 403),
        ("", 403),
    ],
)
async def test_other_names_are_refused(browser: httpx.AsyncClient, host: str, status: int) -> None:
    found = await browser.get("/?token=right", headers={"Host": host})
    assert found.status_code == status


async def test_the_browser_is_told_to_ask_nobody_else(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/?token=right"):
        policy = (await browser.get(path)).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
