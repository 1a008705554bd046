"""What the model is not sure of, as an editor meets it; blocks between brackets that it paired."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.editor import Editors, Message, at, one_daemon

pytestmark = pytest.mark.e2e

URI = "file:///project/main.js"
SCRIPT: Message = {
    "answers": [{"ends_with": "f() {", "text": "\n  g();\n}\nh();\n"}],
    "default": "surely",
    "logprob": -1.0,  # a token is a byte: eight of them are as likely as 1 in 3000
    "fim": True,
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editors]:
    with one_daemon(tmp_path_factory.mktemp("lsp"), SCRIPT) as world:
        yield world


@pytest.fixture
async def common(shared: Editors) -> AsyncIterator[Editors]:
    yield shared
    await shared.leave()


async def test_doubt_is_silence_with_a_reason_until_asked_by_a_key(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "x = ")
    assert await editor.complete(URI, 0, 4) == []
    status = await editor.status()
    assert status["reason"] == "low-confidence"
    assert "completion.min_confidence" in status["message"]
    assert status["daemon"]["traces"][-1]["confidence"] < 0.02
    assert status["min_confidence"] == 0.02
    answer = await editor.request("textDocument/inlineCompletion", at(URI, 0, 4, triggerKind=1))
    assert [item["insertText"] for item in answer["items"]] == ["surely"]


async def test_an_editor_may_show_everything(common: Editors) -> None:
    editor = await common.begin(options={"completion": {"min_confidence": 0}})
    editor.open(URI, "x = ")
    (item,) = await editor.complete(URI, 0, 4)
    assert item["insertText"] == "surely"


async def test_a_block_replaces_the_bracket_that_waits_for_it(common: Editors) -> None:
    editor = await common.begin(options={"completion": {"min_confidence": 0}})
    editor.open(URI, "function f() {}\n")
    (item,) = await editor.complete(URI, 0, 14)
    assert item["insertText"] == "\n  g();\n}"
    start, end = item["range"]["start"], item["range"]["end"]
    assert (start, end) == ({"line": 0, "character": 14}, {"line": 0, "character": 15})
