"""An engine elsewhere, from a language server over the daemon to a server process and back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.editor import Editor, Editors, Message, editors
from tests.upstream import UpstreamServer
from umbrella_daemon.programs.asynchronous import AsyncClient
from umbrella_daemon.programs.results import GenerationError
from umbrella_daemon.settings import Settings, load_settings

pytestmark = pytest.mark.e2e

KINDS = ["llama-server", "openai"]
PATHS = {"llama-server": "/completion", "openai": "/v1/completions"}
URI = "file:///project/main.py"
BEFORE = "def area(w, h):\n    ret"
TEXT = "def area(w, h):\n    return w * h\n"
REST = "urn w * h"


class World:
    """A server elsewhere and editors whose daemon asks it."""

    def __init__(self, server: UpstreamServer, editors: Editors) -> None:
        self.server = server
        self.editors = editors

    @property
    def settings(self) -> Settings:
        return load_settings(environ=self.editors.environment, path=self.editors.no_settings)

    async def ended(self, path: str, end: str) -> Message:
        return await asyncio.to_thread(self.server.ended, path, end)


each_kind = pytest.mark.parametrize("world", KINDS, indirect=True)


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    with UpstreamServer(texts=[TEXT]) as server:
        async with editors(tmp_path) as all_editors:
            all_editors.environment |= {
                "UMBRELLA_BACKEND__KIND": getattr(request, "param", "llama-server"),
                "UMBRELLA_BACKEND__URL": server.url,
                "UMBRELLA_BACKEND__RETRIES": "0",
                "UMBRELLA_BACKEND__TIMEOUT_MS": "1500",
                "UMBRELLA_SUGGESTIONS__PREFETCH": "false",  # only what is asked for is asked
            }
            yield World(server, all_editors)


def path(world: World) -> str:
    return PATHS[world.settings.backend.kind]


async def text_at_the_end(editor: Editor, line: int = 1, character: int = 7) -> str:
    items = await editor.complete(URI, line, character)
    return items[0]["insertText"] if items else ""


def loaded_by(pid: int) -> str:
    """Files that a process has in its memory."""
    return Path(f"/proc/{pid}/maps").read_text()


def phase(name: str) -> Callable[[Message], bool]:
    return lambda status: status["phase"] == name


@each_kind
async def test_a_completion_from_elsewhere_and_no_models_here(world: World) -> None:
    editor = await world.editors.begin()
    editor.open(URI, BEFORE)
    assert await text_at_the_end(editor) == REST
    status = await editor.status()
    assert world.server.url in status["daemon"]["pair"]
    assert status["daemon"]["traces"][-1]["confidence"] > 0.5
    assert "libtorch" not in loaded_by(status["daemon"]["pid"])
    # the rest of it is known: no further request
    asked = len(world.server.log(path(world)))
    editor.type(URI, 2, 1, 7, "ur")
    assert await text_at_the_end(editor, 1, 9) == REST[2:]
    assert len(world.server.log(path(world))) == asked


async def test_the_request_ends_where_the_answer_does(world: World) -> None:
    world.server.tell(texts=[TEXT + "\nmore = 1\n" * 50], token_ms=5)
    editor = await world.editors.begin()
    editor.open(URI, BEFORE)
    assert await text_at_the_end(editor) == REST
    assert (await world.ended(path(world), "client left"))["sent"] < 20


async def test_what_is_typed_otherwise_closes_the_request(world: World) -> None:
    world.server.tell(stall_after=1)
    editor = await world.editors.begin()
    editor.open(URI, BEFORE)
    slow = editor.ask(
        "textDocument/inlineCompletion",
        {
            "textDocument": {"uri": URI},
            "position": {"line": 1, "character": 7},
            "context": {"triggerKind": 2},
        },
    )
    await asyncio.to_thread(asked, world)
    world.server.tell(stall_after=-1, texts=["def area(w, h):\n    ret_value = w * h\n"])
    editor.type(URI, 2, 1, 7, "_")
    assert await text_at_the_end(editor, 1, 8) == "value = w * h"
    assert (await slow)["result"]["items"] == []
    await world.ended(path(world), "client left")


def asked(world: World) -> None:
    """Wait until the server has been asked."""
    world.server.ended(path(world), "open")


@each_kind
async def test_a_killed_server_is_a_reason_and_no_error_box(world: World) -> None:
    world.server.tell(token_ms=50)
    editor = await world.editors.begin()
    editor.open(URI, BEFORE)
    waiting = asyncio.create_task(text_at_the_end(editor))
    await asyncio.to_thread(asked, world)
    world.server.kill()
    assert await waiting == ""
    status = await editor.status(phase("backend-down"))
    assert f"The backend at {world.server.url}" in status["message"]
    assert status["reasons"].get("backend-down") == 1
    assert await text_at_the_end(editor) == ""  # at once, without asking anybody
    assert (await editor.status())["reasons"]["backend-down"] == 2
    # nobody asks the user anything, and the way back needs nothing of the user
    world.server.start()
    editor.received.clear()
    await editor.ready()
    assert await text_at_the_end(editor) == REST
    assert not [one for one in editor.received if one["method"].startswith("window/show")]


async def test_a_server_that_hangs_is_a_reason_until_it_goes_on(world: World) -> None:
    editor = await world.editors.begin()
    editor.open(URI, BEFORE)
    world.server.pause()
    assert await text_at_the_end(editor) == ""
    status = await editor.status(phase("backend-down"))
    assert "said nothing for 1.5 s (backend.timeout_ms)" in status["message"]
    world.server.go_on()
    await editor.status(phase("ready"))
    assert await text_at_the_end(editor) == REST


async def test_the_daemon_may_be_there_before_the_server(world: World) -> None:
    world.server.kill()
    editor = await world.editors.start()
    await editor.initialize()
    status = await editor.status(phase("backend-down"))
    assert "nothing answers there" in status["message"]
    world.server.start()
    await editor.ready()
    editor.open(URI, BEFORE)
    assert await text_at_the_end(editor) == REST


async def test_another_machine_needs_consent(world: World) -> None:
    world.editors.environment["UMBRELLA_BACKEND__URL"] = "http://192.0.2.1:8080"
    editor = await world.editors.start()
    await editor.initialize()
    status = await editor.status(phase("failed"))
    assert "backend.allow_remote = true; nothing was sent" in status["message"]
    assert world.server.log() == []


async def test_an_editor_cannot_send_code_elsewhere(world: World) -> None:
    editor = await world.editors.start()
    await editor.initialize(options={"backend": {"url": "http://192.0.2.1", "allow_remote": True}})
    await editor.ready()
    editor.open(URI, BEFORE)
    assert await text_at_the_end(editor) == REST  # from where the user's own settings say
    told = await editor.until(lambda sent: sent["method"] == "window/showMessage")
    assert "backend is not taken from an editor" in told["params"]["message"]


@each_kind
async def test_generations_and_chats_come_from_there_too(world: World) -> None:
    world.server.tell(texts=["count: 1, 2, 3", "user: hi there, friend"])
    await world.editors.begin()
    async with AsyncClient(settings=world.settings, start=False) as client:
        assert (await client.generate("count:").result()).text == " 1, 2, 3"
        chat = client.chat([{"role": "user", "content": "hi"}])
        assert (await chat.result()).text == " there, friend"
        world.server.kill()
        with pytest.raises(GenerationError, match="nothing answers there"):
            await client.generate("count:").result()
        world.server.start()
