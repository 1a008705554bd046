"""Other files help only where they may, and their text reaches a prompt only then."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.chain import Chain
from tests.daemon.test_scope import write
from tests.daemons import SECONDS, complete
from umbrella_daemon.resident.answers import Answers
from umbrella_daemon.resident.chunks import MAX_LINES, Chunk, chunks
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.ranking import Place, select
from umbrella_daemon.resident.scheduler import Scheduler
from umbrella_daemon.resident.workspace import MAX_DOCUMENTS, Workspace
from umbrella_daemon.settings import CompletionSettings, load_settings
from umbrella_daemon.wire import Closed, Completed, Opened, Snippet

HELPER = """\
def weigh_parcel(parcel, scale):
    reading = scale.measure(parcel)
    return reading.grams


def unrelated_thing(first, second):
    return first * second * 17 - first
"""
USER = "from helper import weigh_parcel\n\n\ndef ship(parcel, scale):\n    grams = weigh_parcel("


def opened(path: str, text: str, language: str = "python") -> Opened:
    return Opened(f"file://{path}", language, path, text)


def selected(workspace: Workspace, prefix: str, path: str = "/p/user.py") -> list[str]:
    """First lines of what is selected for the end of `prefix`."""
    request = complete(1, prefix, path=path, document=f"file://{path}")
    look = workspace.candidates(request)
    assert look is not None
    return [piece.text.splitlines()[0] for piece in look()]


def workspace(max_characters: int = 1500, **settings: Any) -> Workspace:
    return Workspace(CompletionSettings(**settings), max_characters)


def test_what_shares_rare_names_with_the_place_is_selected() -> None:
    window = workspace()
    window.open(opened("/p/helper.py", HELPER))
    window.open(opened("/p/other.py", "class Kettle:\n    def boil(self, litres): ...\n" * 3))
    assert selected(window, USER)[0] == "def weigh_parcel(parcel, scale):"
    assert "class Kettle:" not in selected(window, USER + "\n" * 2000)


def test_nothing_is_selected_twice_or_that_stands_in_the_document_already() -> None:
    window = workspace(5000)
    for name in ("a", "b"):
        window.open(opened(f"/p/{name}.py", HELPER))
    assert selected(window, USER).count("def weigh_parcel(parcel, scale):") == 1
    window = workspace(5000)
    window.open(opened("/p/a.py", HELPER))
    assert selected(window, HELPER + USER) == []


def test_definitions_of_imported_names_are_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path / "shop" / "scales.py", "def weigh(x):\n    return x.weight * 1000\n")
    write(tmp_path / "shop" / "secret.py", "def weigh(x):\n    token = 'hidden'\n")
    write(tmp_path / ".umbrellaignore", "secret.py\n")
    for line in ("from shop.scales import weigh", "from .scales import weigh"):
        path = str(tmp_path / "shop" / "main.py")
        window = workspace()
        assert selected(window, f"{line}\n\nx = weigh(", path) == ["def weigh(x):"]
    assert selected(workspace(), "from .secret import weigh\n\nx = weigh(", path) == []


def test_a_place_far_away_or_a_new_document_is_a_reason_to_look_again() -> None:
    window = workspace()
    request = complete(1, USER, document="d")
    assert window.candidates(request) is not None
    assert window.candidates(request) is None
    assert window.candidates(complete(1, USER + "x", document="d")) is None
    assert window.candidates(complete(1, USER + "x" * 2000, document="d")) is not None
    window.open(opened("/p/helper.py", HELPER))
    assert window.candidates(complete(1, USER + "x" * 2000, document="d")) is not None


def test_what_is_selected_stays_until_something_is_clearly_better() -> None:
    place = Place("u.py", "alpha = beta(gamma, delta)\nsigma = alpha", "")
    near = Chunk("a.py", 0, "def beta(gamma):\n    return gamma.omega\n")
    same = Chunk("b.py", 0, "def beta(gamma):\n    return gamma.omicron\n")
    best = Chunk("c.py", 0, "def alpha(beta, gamma, delta):\n    sigma = delta\n")
    noise = [Chunk("n.py", n, f"def noise{n}():\n    return other{n}\n") for n in range(9)]
    room = len(near.text) + 20
    held = select(place, [near, *noise], [], [], room)
    assert held == (near,)
    assert select(place, [near, same, *noise], [], held, room) == (near,)
    assert select(place, [near, best, *noise], [], held, room) == (best,)
    assert select(place, [best, *noise], [], held, room) == (best,)  # it is gone


def test_pieces_edited_lately_count_for_more() -> None:
    window = workspace(100)
    one = "def pack(parcel, lid):\n    return parcel.close(lid)\n"
    other = "def wrap(parcel, lid):\n    return parcel.cover(lid)\n"
    window.open(opened("/p/one.py", one))
    window.open(opened("/p/other.py", other.replace("cover", "hide")))
    window.open(opened("/p/other.py", other))
    assert selected(window, "parcel, lid = load()\n") == ["def wrap(parcel, lid):"]


def test_documents_are_bounded() -> None:
    window = workspace()
    for number in range(MAX_DOCUMENTS + 5):
        window.open(opened(f"/p/{number}.py", HELPER))
    window.open(opened("/p/huge.py", HELPER * 2000))
    assert len(window._documents) == MAX_DOCUMENTS


@given(st.text(alphabet="ab \n\tdef():", max_size=3000))
def test_pieces_are_whole_lines_in_order(text: str) -> None:
    lines = text.splitlines()
    last = 0
    for piece in chunks("a.py", text):
        own = piece.text.splitlines()
        assert piece.line >= last
        assert len(own) <= MAX_LINES
        assert own == [line.rstrip() if line is own[-1] else line for line in own]
        assert [line.rstrip() for line in own] == [
            line.rstrip() for line in lines[piece.line : piece.line + len(own)]
        ]
        last = piece.line + len(own)


class Window:
    """A window whose requests go through everything but the socket."""

    def __init__(self, **settings: str) -> None:
        environ = {f"UMBRELLA_{name}": value for name, value in settings.items()}
        self.settings = load_settings(environ=environ)
        self.engine = Chain()
        completer = Completer(self.engine, self.settings)
        self.scheduler = Scheduler(lambda: None, completer.complete, completer.advance)
        self._loop = asyncio.get_running_loop()
        self.answers = Answers(self.settings, self.scheduler, self._loop.call_soon_threadsafe)
        self.scheduler.start()

    def open(self, path: Path, text: str) -> None:
        self.answers.context.heed(1, opened(str(path), text))

    async def ask(self, number: int, path: Path, prefix: str, **fields: Any) -> Completed:
        done: asyncio.Future[Completed] = self._loop.create_future()
        request = complete(number, prefix, path=str(path), document=f"file://{path}", **fields)
        self.answers.complete(1, request, done.set_result)
        async with asyncio.timeout(SECONDS):
            return await done

    async def settle(self, path: Path, prefix: str, **fields: Any) -> str:
        """Type until nothing new comes into the prompts; give the last of them."""
        for number in range(20):
            await self.ask(number, path, prefix + "x" * number, **fields)
            await asyncio.sleep(0.02)
        return self.engine.prompts[-1]

    def close(self) -> None:
        self.scheduler.close()
        self.answers.context.close()
        assert self.scheduler.join(SECONDS)


@pytest.fixture
async def window(tmp_path: Path) -> AsyncIterator[Window]:
    window = Window()
    yield window
    window.close()


async def test_context_reaches_the_prompt_and_stays_in_its_order(
    window: Window, tmp_path: Path
) -> None:
    window.open(tmp_path / "helper.py", HELPER)
    prompt = await window.settle(tmp_path / "user.py", USER)
    assert "return reading.grams" in prompt
    start = prompt[: prompt.index("def ship")]
    assert (await window.settle(tmp_path / "user.py", USER + "parcel")).startswith(start)


async def test_a_first_request_does_not_wait_for_context(window: Window, tmp_path: Path) -> None:
    window.open(tmp_path / "helper.py", HELPER)
    await window.ask(1, tmp_path / "user.py", USER)
    assert "reading.grams" not in window.engine.prompts[0]


EXCLUDED = {
    ".env": "PARCEL = weigh_parcel\nSCALE = parcel\n",
    "secrets.json": '{"weigh_parcel": "parcel", "scale": "grams"}\n',
    "terraform.tfstate": '{"parcel": "scale"}\n',
    "server.key": "weigh_parcel parcel scale\n",
    "private/notes.py": HELPER,
    "build/made.py": HELPER,
    "vendor/lib.py": HELPER,
    "off.lua": HELPER,
    "apart/helper.py": HELPER,
}


async def test_no_file_that_is_kept_out_enters_any_prompt(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path / ".gitignore", "build/\n")
    write(tmp_path / ".umbrellaignore", "private/\n")
    window = Window(
        COMPLETION__DISABLED_GLOBS="vendor/",
        COMPLETION__DISABLED_LANGUAGES="lua",
        COMPLETION__CONTEXT_OFF=str(tmp_path / "apart"),
    )
    try:
        for name, text in EXCLUDED.items():
            marked = f"# MARK {name}\n{text}# MARK {name}\n"
            write(tmp_path / name, marked)
            language = "lua" if name.endswith(".lua") else "python"
            place = str(tmp_path / name)
            window.answers.context.heed(1, opened(place, marked, language))
            answer = await window.ask(99, tmp_path / name, marked, language=language)
            assert (answer.text == "") == (name != "apart/helper.py")
        asked = len(window.engine.prompts)  # for the one that is only no context
        leaking = f"{HELPER}key = '" + "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a'\n"
        window.open(tmp_path / "leak.py", leaking)
        window.open(tmp_path / "fine.py", HELPER.replace("grams", "ounces"))
        await window.settle(tmp_path / "user.py", USER)
        # apart/helper.py may still be prepared for itself meanwhile: its own text stands last there
        prompts = window.engine.prompts[asked:]
        own = [prompt for prompt in prompts if prompt.rpartition("def ")[2].startswith("ship")]
        assert any("reading.ounces" in prompt for prompt in own)
        for prompt in own:
            assert "MARK" not in prompt
            assert "ghp_" not in prompt
    finally:
        window.close()


@pytest.mark.parametrize("off", ["request", "setting"])
async def test_context_can_be_switched_off(off: str, tmp_path: Path) -> None:
    settings = {"PROMPT__CONTEXT_TOKENS": "0"} if off == "setting" else {}
    window = Window(**settings)
    try:
        window.open(tmp_path / "helper.py", HELPER)
        await window.settle(tmp_path / "user.py", USER, context=off != "request")
        assert not any("reading.grams" in prompt for prompt in window.engine.prompts)
    finally:
        window.close()


async def test_snippets_of_the_request_itself_are_used_as_they_are(
    window: Window, tmp_path: Path
) -> None:
    own = (Snippet("x.py", "SPECIAL = 1\n"),)
    await window.ask(1, tmp_path / "user.py", USER, snippets=own)
    assert "SPECIAL = 1" in window.engine.prompts[0]


async def test_closed_documents_are_recent_ones(window: Window, tmp_path: Path) -> None:
    window.open(tmp_path / "helper.py", HELPER)
    window.answers.context.heed(1, Closed(f"file://{tmp_path / 'helper.py'}"))
    assert "reading.grams" in await window.settle(tmp_path / "user.py", USER)
