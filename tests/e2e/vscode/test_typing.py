"""What a person sees while typing, and what lies in the file afterwards."""

import pytest

from tests.e2e.vscode.conftest import MakeWorld, Open
from tests.e2e.vscode.world import World

pytestmark = [pytest.mark.editor, pytest.mark.asyncio(loop_scope="session")]


async def test_tab_accepts(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    await window.press("Tab")
    await window.until_ghost("")
    await window.until_saved("def add(a, b):")


async def test_several_lines(common: World, open_window: Open) -> None:
    window = await open_window(common, {"main.py": "def add(a, b):"})
    await window.press("Enter")
    await window.until_ghost("result = a + b\n    return result")
    await window.press("Tab")
    await window.until_saved("def add(a, b):\n    result = a + b\n    return result")


async def test_what_is_typed_through_stays(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    await window.type("d")
    await window.until_ghost("(a, b):")
    assert "" not in [text for text, _ in (await window.painted())]
    await window.press("Backspace")
    await window.until_ghost("d(a, b):")
    await window.press("Tab")
    await window.until_saved("def add(a, b):")


async def test_escape_puts_it_away(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    await window.press("Escape")
    await window.until_ghost("")
    await window.until_saved("def ad")


async def test_a_word_is_accepted(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("sub")
    await window.until_ghost("total = first")
    await window.press("Control+ArrowRight")
    await window.until_ghost(" = first")
    await window.until_saved("subtotal")


async def test_a_line_is_accepted(common: World, open_window: Open) -> None:
    window = await open_window(common, {"main.py": "def add(a, b):"})
    await window.press("Enter")
    await window.until_ghost("result = a + b\n    return result")
    await window.press("Control+Alt+ArrowRight")
    await window.until_ghost("    return result")
    await window.until_saved("def add(a, b):\n    result = a + b\n")


async def test_only_when_asked(common: World, open_window: Open) -> None:
    window = await open_window(common, trigger="manual")
    await window.type("def ad")
    await window.until_status("circle-slash Umbrella: manual")
    assert await window.painted() == []
    await window.press("Alt+\\")
    await window.until_ghost("d(a, b):")
    await window.until_status("sparkle Umbrella")


async def test_several_suggestions_when_asked(common: World, open_window: Open) -> None:
    window = await open_window(common, trigger="manual")
    await window.type("mean = ")
    await window.until_status("circle-slash Umbrella: manual")
    await window.press("Alt+\\")
    await window.until_ghost("a / b")
    for following in ("sum(a)", "mid(b)", "a / b", "sum(a)"):
        await window.press("Alt+]")
        await window.until_ghost(following)
    await window.press("Alt+[")
    await window.until_ghost("a / b")
    await window.press("Alt+[")
    await window.until_ghost("mid(b)")
    await window.press("Tab")
    await window.until_saved("mean = mid(b)")


async def test_several_suggestions_while_typing(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("mean = ")
    await window.until_ghost("a / b")
    await window.press("Alt+]")  # VS Code asks for the others now
    await window.until_ghost("sum(a)")


async def test_several_cursors_and_selections(common: World, open_window: Open) -> None:
    window = await open_window(common, {"main.py": "\n"})
    await window.press("Shift+Alt+ArrowUp")
    await window.type("def ad")
    await window.until_status("several cursors")
    await window.until_saved("def ad\ndef ad")
    assert await window.painted() == []


async def test_the_server_hears_where_the_cursor_rests(
    make_world: MakeWorld, open_window: Open
) -> None:
    world = make_world()
    files = {"main.py": "one = 1\ntwo = 2\n"}
    window = await open_window(world, files, **{"server.path": str(world.overheard)})

    async def told() -> str:
        return world.told.read_text().replace(" ", "")

    async def rests(line: int) -> None:
        place = f'"position":{{"line":{line},"character":0}}'
        await window.until(
            f"a cursor in line {line}",
            told,
            lambda text: any(place in part[:300] for part in text.split("didFocus")[1:]),
        )

    await rests(2)  # where a window that is ready has its cursor
    await window.press("ArrowUp")
    await rests(1)
