"""Everything around the text: switches, commands, health, events, sources, help."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.neovim import check_lua
from tests.e2e.neovim.conftest import WHOLE, Start
from tests.e2e.neovim.session import PLUGIN, Neovim

pytestmark = [pytest.mark.e2e, pytest.mark.editor]

MESSAGES = "return vim.fn.execute('messages')"


def everything(editor: Neovim) -> str:
    """The whole buffer of the current window."""
    return editor.text


@pytest.mark.parametrize(
    ("off", "on"),
    [
        ("Umbrella toggle", "Umbrella toggle"),
        ("Umbrella toggle buffer", "Umbrella toggle buffer"),
        ("Umbrella toggle filetype", "Umbrella toggle filetype"),
        ("let b:umbrella_enabled = v:false", "unlet b:umbrella_enabled"),
        ("let g:umbrella_enabled = 0", "let g:umbrella_enabled = 1"),
    ],
)
def test_switches(editor: Neovim, off: str, on: str) -> None:
    editor.command(off)
    assert editor.lua("return require('umbrella').statusline()") == "☂ off"
    editor.type("idef ad")
    editor.wait(lambda: editor.text == "def ad")
    editor.type("<Esc>")
    assert editor.asked == 0
    editor.command(on)
    assert editor.lua("return require('umbrella').statusline()") == "☂"
    editor.type("a")
    editor.see("d(a, b):")


def test_file_types_and_buffers_that_the_server_never_sees(start: Start, tmp_path: Path) -> None:
    init = (
        "require('umbrella').setup({ filetypes = { lua = false }, should_attach = function(bufnr)\n"
        "  return not vim.api.nvim_buf_get_name(bufnr):find('secret') end })"
    )
    with start(init) as editor:
        editor.open(tmp_path / "main.lua")
        editor.type("idef ad")
        editor.wait(lambda: editor.text == "def ad")
        assert editor.asked == 0
        (tmp_path / "secret.py").write_text("")
        editor.type("<Esc>")
        editor.command(f"edit! {tmp_path / 'secret.py'}")
        editor.type("idef ad")
        editor.wait(lambda: editor.text == "def ad")
        assert not editor.attached()
        assert not editor.lua("return require('umbrella').trigger()")


def test_what_setup_refuses(start: Start) -> None:
    with start("-- nothing") as editor:
        refused = "local _, problem = pcall(require('umbrella').setup, ...) return problem"
        options: dict[str, dict[str, Any]] = {
            "there is no option `fletypes`; there are: cmd, filetypes": {"fletypes": {}},
            "`trigger` is 'auto' or 'manual', not 'often'": {"trigger": "often"},
            "`keymap` has to be a boolean or table, not 3": {"keymap": 3},
            "`keymap` has no `acept`; it has: accept": {"keymap": {"acept": "<Tab>"}},
        }
        for said, option in options.items():
            assert said in editor.lua(refused, option)


def test_commands(editor: Neovim) -> None:
    editor.type("idef ad")
    editor.see("d(a, b):")
    editor.type("<Tab><Esc>")
    editor.command("Umbrella status")
    editor.wait(lambda: "here     on (filetypes['*'])" in editor.lua(MESSAGES))
    said = editor.lua(MESSAGES)
    assert re.search(r"Umbrella ready", said)
    assert re.search(r"model    scripted", said)
    assert re.search(r"window   \d+ requests, \d+ shown, 1 accepted", said)
    editor.type("<CR>")
    editor.command("Umbrella trace")
    editor.wait(lambda: "  shown" in everything(editor))
    assert re.search(r"prompt \d+ tokens: \d+ reused, \d+ computed", everything(editor))
    editor.type("q")
    editor.command("Umbrella log")
    editor.wait(lambda: "phase" in everything(editor))
    editor.command("close")
    editor.command("Umbrella model")
    editor.wait(lambda: "smollm2" in editor.lua(MESSAGES))
    refused = "local _, problem = pcall(vim.cmd, ...) return problem"
    known = "there is no `nonsense`; there are: log, model"
    assert known in editor.lua(refused, "Umbrella nonsense")
    known = "toggle takes buffer, filetype, global"
    assert known in editor.lua(refused, "Umbrella toggle everything")
    complete = "return vim.fn.getcompletion(..., 'cmdline')"
    commands = ["log", "model", "restart", "status", "toggle", "trace"]
    assert editor.lua(complete, "Umbrella ") == commands
    assert editor.lua(complete, "Umbrella toggle f") == ["filetype"]
    assert "smollm2" in editor.lua(complete, "Umbrella model ")


def test_health(editor: Neovim) -> None:
    editor.command("checkhealth umbrella")
    editor.wait(lambda: "Options" in everything(editor))
    report = everything(editor)
    assert "ERROR" not in report
    assert "WARNING" not in report
    assert re.search(r"umbrella-lsp: umbrella-lsp \d", report)
    assert "OK model: scripted" in report


def test_health_without_a_server(start: Start) -> None:
    with start("vim.env.PATH = '/usr/bin:/bin'") as editor:
        editor.command("checkhealth umbrella")
        editor.wait(lambda: "Options" in everything(editor))
        report = everything(editor)
        assert "ERROR umbrella-lsp cannot be found" in report
        assert "pipx install umbrella-lsp" in report
        assert "WARNING no server is running" in report


def test_events(start: Start, tmp_path: Path) -> None:
    init = (
        "require('umbrella').setup({ keymap = true })\n"
        "_G.heard = {}\n"
        "vim.api.nvim_create_autocmd('User', { pattern = 'Umbrella*', callback = function(args)\n"
        "  local data = args.data\n"
        "  local what = data.part or data.phase or data.text or ''\n"
        "  table.insert(_G.heard, args.match:sub(9) .. ' ' .. what)\n"
        "end })"
    )
    with start(init) as editor:
        editor.open(tmp_path / "main.py")
        editor.lua("_G.heard = {}")
        editor.type("idef ad")
        editor.see("d(a, b):")
        editor.type("<M-Right>")
        editor.see("(a, b):")
        editor.type("<C-]>")
        editor.see("")
        heard = ["Shown d(a, b):", "Accepted word", "Hidden ", "Dismissed "]
        said = editor.lua("return _G.heard")
        assert [event for event in said if event != "Status ready"] == heard


def test_source_of_blink(editor: Neovim) -> None:
    editor.type("idef ad")
    editor.see("d(a, b):")
    ask = (
        "local source = require('umbrella.blink').new({}, {})\n"
        "assert(source:enabled())\n"
        "source:get_completions({ bufnr = 0, cursor = { 1, 6 } }, function(response)\n"
        "  _G.response = response\n"
        "end)"
    )
    editor.lua(ask.replace("bufnr = 0", "bufnr = vim.api.nvim_get_current_buf()"))
    response = editor.wait(lambda: editor.lua("return _G.response"))
    (item,) = response["items"]
    assert (item["label"], item["filterText"], item["textEdit"]["newText"]) == (WHOLE,) * 3
    start, end = {"line": 0, "character": 0}, {"line": 0, "character": 6}
    assert item["textEdit"]["range"] == {"start": start, "end": end}
    assert item["command"]["command"] == "umbrella.accepted"
    execute = (
        "local source, item = require('umbrella.blink').new(), _G.response.items[1]\n"
        "source:execute({ bufnr = vim.api.nvim_get_current_buf() }, item, function()\n"
        "  _G.done = true\n"
        "end, function()\n"
        "  local bufnr = vim.api.nvim_get_current_buf()\n"
        "  vim.lsp.util.apply_text_edits({ item.textEdit }, bufnr, 'utf-16')\n"
        "end)\n"
        "return _G.done"
    )
    assert editor.lua(execute)
    assert editor.text == WHOLE
    editor.wait(lambda: editor.status()["accepted"] == 1)


def test_source_of_nvim_cmp(editor: Neovim) -> None:
    editor.type("iprint()<Left>")
    editor.wait(lambda: editor.line() == "print(a, b)")
    ask = (
        "local source = require('umbrella.cmp').new()\n"
        "assert(source:is_available())\n"
        "local cursor = { line = 0, col = 7, character = 6, row = 1 }\n"
        "local context = { bufnr = vim.api.nvim_get_current_buf(), cursor = cursor }\n"
        "source:complete({ context = context }, function(response) _G.response = response end)"
    )
    editor.lua(ask)
    response = editor.wait(lambda: editor.lua("return _G.response"))
    (item,) = response["items"]
    edit = item["textEdit"]
    assert (edit["newText"], item["filterText"]) == ("print(a, b)",) * 2
    assert (edit["range"]["start"]["character"], edit["range"]["end"]["character"]) == (0, 7)


def test_a_menu_and_the_ghost_text_ask_together(editor: Neovim) -> None:
    both = (
        "local source = require('umbrella.source')\n"
        "local bufnr = vim.api.nvim_get_current_buf()\n"
        "vim.api.nvim_create_autocmd('TextChangedI', { callback = function()\n"
        "  local row, col = unpack(vim.api.nvim_win_get_cursor(0))\n"
        "  source.ask(bufnr, row - 1, col, function(items) _G.items = items end)\n"
        "end })"
    )
    editor.type("idef a")
    editor.wait(lambda: editor.text == "def a")
    editor.lua(both)
    asked = editor.asked
    editor.type("d")
    editor.see("d(a, b):")
    assert editor.wait(lambda: editor.lua("return _G.items"))[0]["label"] == WHOLE
    assert editor.asked == asked + 1


def test_nothing_is_wrong_in_the_log(editor: Neovim, shared: dict[str, str]) -> None:
    log = Path(editor.lua("return require('vim.lsp.log').get_filename()"))
    before = log.read_text()
    editor.type("idef ad")
    editor.see("d(a, b):")
    editor.type("<M-Right>")
    editor.see("(a, b):")
    editor.type("<Tab>")
    editor.wait(lambda: editor.text == WHOLE)
    editor.type("<Esc>")
    editor.wait(lambda: editor.status()["accepted"] == 1)
    new = log.read_text().removeprefix(before)
    assert not [line for line in new.splitlines() if "[ERROR]" in line or "[WARN]" in line]
    assert str(log).startswith(shared["XDG_STATE_HOME"])


def test_nothing_is_loaded_before_it_is_used(start: Start) -> None:
    with start("-- nothing") as editor:
        loaded = "return vim.tbl_filter(function(name) return name:find('umbrella') end,"
        assert editor.lua(f"{loaded} vim.tbl_keys(package.loaded))") == []
        assert editor.lua("return vim.fn.exists(':Umbrella')") == 2


def test_help(start: Start, tmp_path: Path) -> None:
    with start() as editor:
        copy = tmp_path / "doc"
        copy.mkdir()
        text = (PLUGIN / "doc" / "umbrella.txt").read_text()
        (copy / "umbrella.txt").write_text(text)
        editor.command(f"helptags {copy}")
        tags = {line.split("\t")[0] for line in (copy / "tags").read_text().splitlines()}
        functions = editor.lua("return vim.tbl_keys(require('umbrella'))")
        expected = {f"umbrella.{name}()" for name in functions} | {":Umbrella", "umbrella"}
        assert expected <= tags
        assert set(re.findall(r"\|(umbrella[^|\s]*)\|", text)) <= tags
        options = editor.lua("return vim.tbl_keys(require('umbrella.config').options)")
        assert {f"umbrella-option-{name}" for name in options} <= tags
        assert max(map(len, text.splitlines())) <= 78


def test_the_lua_is_formatted_and_has_no_mistakes() -> None:
    files = sorted(map(str, PLUGIN.rglob("*.lua")))
    for result in (check_lua.formatting(files), check_lua.mistakes(files)):
        assert result.returncode == 0, result.stdout + result.stderr
