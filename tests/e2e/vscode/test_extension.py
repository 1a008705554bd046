"""The extension among others: what it logs, whom it meets, what it offers."""

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.vscode.bootstrap import Tools
from tests.e2e.vscode.conftest import MakeWorld, Open
from tests.e2e.vscode.server import Server
from tests.e2e.vscode.window import Window, new_page
from tests.e2e.vscode.world import World

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [pytest.mark.editor, pytest.mark.asyncio(loop_scope="session")]


async def test_nothing_goes_wrong_in_the_logs(
    code: Server, common: World, open_window: Open
) -> None:
    older = set(code.logs())
    window = await open_window(common)
    await window.type("def ad")
    await window.until_ghost("d(a, b):")
    await window.press("Tab", "Enter")
    await window.type("sub")
    await window.until_ghost("total = first")
    await window.press("Control+ArrowRight")
    await window.run("Restart Server")
    await window.until_status("starting")
    await window.until_status("sparkle Umbrella")
    logs = {path: text for path, text in code.logs().items() if path not in older}
    activated = "_doActivateExtension umbrella.umbrella-lsp,"
    assert sum(text.count(activated) for text in logs.values()) == 1
    ours = [text for path, text in logs.items() if path.name == "Umbrella.log"]
    assert len(ours) == 1
    assert ours[0].count("[info] loaded in ") == 1
    assert ours[0].count("[info] starting ") == 2
    assert "[warning]" not in ours[0], ours[0]
    assert "[error]" not in ours[0], ours[0]
    for text in [*logs.values(), *window.console]:
        for line in text.splitlines():
            assert not re.search(r"(?i)umbrella", line) or not re.search(r"(?i)error", line), line


async def test_a_missing_server_is_installed_once_asked(
    code: Server, common: World, open_window: Open
) -> None:
    bin_ = code.home / ".local" / "bin"
    bin_.mkdir(parents=True)
    installer = bin_ / "uv"
    installer.write_text(
        f'#!/bin/sh\n[ "$*" = "tool install umbrella-lsp" ] || exit 1\n'
        f"ln -s {common.server} {bin_}/umbrella-lsp\n"
    )
    installer.chmod(0o755)
    try:
        window = await open_window(common, ready=False, **{"server.path": ""})
        await window.until_status("warning Umbrella: not installed")
        await window.until_notified("is not installed")
        await window.page.click(
            ".notification-list-item >> text=Run “uv tool install umbrella-lsp”"
        )
        await window.ready()
        assert (bin_ / "umbrella-lsp").is_symlink()
    finally:
        shutil.rmtree(bin_)


async def test_another_provider_is_met_with_a_warning(
    tools: Tools, browser: "Browser", common: World, tmp_path: Path
) -> None:
    other = {
        "name": "tabnine-vscode",
        "publisher": "TabNine",
        "displayName": "The Other One",
        "version": "1.0.0",
        "engines": {"vscode": "*"},
    }
    server = await Server.start(tools, tmp_path, {"tabnine.tabnine-vscode-1.0.0": other})
    try:
        server.forget_settings()
        window = Window(await new_page(browser), common.project())
        await window.open(server.url, "main.py")
        await window.until_notified("The Other One suggests code in the same places")
        await window.page.context.close()
    finally:
        await server.stop()


async def test_cells_of_a_notebook_are_joined(common: World, open_window: Open) -> None:
    def cell(kind: str, text: str) -> dict[str, object]:
        cell: dict[str, object] = {"cell_type": kind, "source": [text], "metadata": {}}
        return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})

    cells = [cell("code", "first = 1"), cell("code", ""), cell("code", "last = 9")]
    notebook = {
        "cells": [cell("markdown", "Sums"), *cells],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    files = {"sums.ipynb": json.dumps(notebook)}
    window = await open_window(common, files)
    await window.show("sums.ipynb")
    await window.page.click(".notebookOverlay .cell-editor-container .view-lines >> nth=1")
    await window.type("su")
    await window.until_ghost("m = first + 2")
    await window.press("Tab", "Control+s")

    async def second() -> list[str]:
        text = (window.project / "sums.ipynb").read_text()  # empty while it is being written
        return [*json.loads(text)["cells"][2]["source"]] if text else []

    await window.until("the saved cell", second, ["sum = first + 2"].__eq__)


async def test_the_walkthrough_opens(common: World, open_window: Open) -> None:
    window = await open_window(common)
    await window.run("Open Walkthrough")
    await window.page.wait_for_selector("text=Get started with Umbrella")


async def test_a_model_is_selected(code: Server, make_world: MakeWorld, open_window: Open) -> None:
    world = make_world(UMBRELLA_MODELS__OFFLINE="true")
    window = await open_window(world)
    await window.run("Select Model")
    await window.page.wait_for_selector(".quick-input-list >> text=135M parameters")
    await window.picture("models")
    await window.pick("smollm2")
    await window.until_status("warning Umbrella: failed")  # its weights are not in this home
    assert code.settings()["umbrella.model"] == "smollm2"
    assert (await world.daemon()).pair.startswith("smollm2")
