"""Settings and commands take effect at once, and the status bar says why nothing is shown."""

from pathlib import Path

import pytest

from tests.e2e.vscode.conftest import MakeWorld, Open
from tests.e2e.vscode.window import Window
from tests.e2e.vscode.world import World
from umbrella_daemon.recordings import found, under_way
from umbrella_daemon.typing_trace import Change, asks, read

pytestmark = [pytest.mark.editor, pytest.mark.asyncio(loop_scope="session")]


async def again(window: Window) -> None:
    """Type something else, so that nothing of before is shown."""
    await window.press("Escape", "Control+a", "Delete")
    await window.until_ghost("")
    await window.type("def ad")


async def test_settings_change_live(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    window.set(enable={"*": True, "python": False})
    await window.until_status("circle-slash Umbrella: off for python")
    await again(window)
    await window.until_saved("def ad")
    assert await window.ghost() == ""
    window.set(enable={"*": False, "python": True}, maxTokens=4)
    await window.until_status("sparkle Umbrella")
    await again(window)
    await window.until_ghost("d(a,")
    window.set(maxTokens=64, exclude=["**/main.*"])
    await window.until_status("circle-slash Umbrella: excluded")
    window.set(exclude=[])
    await window.until_status("sparkle Umbrella")
    await again(window)
    await window.until_ghost("d(a, b):")


async def test_pausing_and_resuming(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.run("Pause or Resume Suggestions")
    await window.until_status("circle-slash Umbrella: paused")
    await window.type("def ad")
    await window.until_saved("def ad")
    assert await window.painted() == []
    await window.menu()
    await window.pick("Resume suggestions")
    await window.until_status("sparkle Umbrella")
    await window.focus()
    await again(window)
    await window.until_ghost("d(a, b):")


async def test_the_menu_switches_a_language_off(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.menu()
    await window.picture("menu")
    await window.pick("Switch python off")
    await window.until_status("circle-slash Umbrella: off for python")


async def test_a_setting_that_the_server_refuses(common: World, open_window: Open) -> None:
    window = await open_window(common, settings={"completion": {"max_line": 3}})
    await window.until_notified("max_lines")
    await window.type("def ad")
    await window.until_ghost("d(a, b):")


async def test_a_file_that_may_hold_secrets(common: World, open_window: Open) -> None:
    window = await open_window(common, {".env": ""}, file=".env")
    await window.type("KEY=def ad")
    await window.until_status("circle-slash Umbrella: may hold secrets")
    assert await window.painted() == []


async def test_the_server_is_never_told_of_excluded_files(
    make_world: MakeWorld, open_window: Open
) -> None:
    world = make_world()
    files = {"private/plan.py": "confidential = 1\n"}
    settings = {"server.path": str(world.overheard), "exclude": ["**/private/**"]}
    window = await open_window(world, files, "private/plan.py", False, **settings)
    await window.until_status("circle-slash Umbrella: excluded")
    await window.focus()
    await window.type("def ad")
    await window.press("Alt+\\")
    await window.until_saved("confidential = 1\ndef ad", "private/plan.py")
    assert await window.painted() == []
    await window.show("main.py")
    await window.ready()
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    told = world.told.read_text()
    assert "main.py" in told
    assert "plan.py" not in told
    assert "confidential" not in told


async def test_a_setting_records_typing(make_world: MakeWorld, open_window: Open) -> None:
    world = make_world()
    window = await open_window(world, recordTyping="masked")
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    await window.press("Tab")
    await window.until_saved("def add(a, b):")
    window.set(recordTyping="off")
    folder = Path(world.environment["XDG_STATE_HOME"]) / "umbrella" / "recordings"

    async def ended() -> bool:
        return not under_way(folder)

    await window.until("the end of the recording", ended)
    (recording,) = found(folder)
    trace = read(recording.path)
    assert trace.header.masked
    assert asks(trace.events) > 0
    changes = [
        one for one in trace.events if isinstance(one, Change) and one.document.endswith(".py")
    ]
    assert [one.text for one in changes if one.accepted] == ["x(x, x):"]
    assert "".join(one.text for one in changes) == "xxx xxx(x, x):"


async def test_statistics_know_what_was_accepted(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    await window.press("Tab")
    await window.until_ghost("")
    await window.run("Show Statistics")
    known = await statistics(window)
    assert (known["shown"], known["accepted"], known["accepted characters"]) == ("1", "1", "8")
    assert known["device"] == "cpu, bytes"


async def test_a_piece_of_a_suggestion_is_counted(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.type("sub")
    await window.until_ghost("total = first")
    await window.press("Control+ArrowRight")
    await window.until_ghost(" = first")
    await window.run("Show Statistics")
    known = await statistics(window)
    assert (known["partially accepted"], known["accepted characters"]) == ("1", "5")


async def statistics(window: Window) -> dict[str, str]:
    """Give what the page of that name says, once it is there."""

    async def rows() -> dict[str, str]:
        lines = await window.page.locator(".view-line").all_inner_texts()
        known = [line.replace("\xa0", " ").strip().rpartition("  ") for line in lines]
        return {name.strip(): value for name, _, value in reversed(known)}

    return await window.until("the page", rows, lambda known: "device" in known)
