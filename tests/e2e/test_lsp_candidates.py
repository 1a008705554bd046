"""Several candidates where the user asks by a key, one where an editor asks by itself."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.editor import Editor, Editors, Message, at, one_daemon

pytestmark = pytest.mark.e2e

URI = "file:///project/main.py"
SCRIPT: Message = {
    "answers": [
        {
            "ends_with": "def ad",
            "text": "d(a, b):",
            "others": ["d(x):", "mire(a):", "just(a, b):", "vance():", " mire(a):", ""],
        },
        {"ends_with": "call(", "text": "a)", "others": ["b)", "*rest)"]},
        {"ends_with": "print", "text": "(1)", "others": [".x"]},
    ],
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editors]:
    with one_daemon(tmp_path_factory.mktemp("lsp"), SCRIPT) as world:
        yield world


@pytest.fixture
async def common(shared: Editors) -> AsyncIterator[Editors]:
    yield shared
    await shared.leave()


async def by_key(editor: Editor, character: int, **context: object) -> list[Message]:
    params = at(URI, 0, character, triggerKind=1, **context)
    return list((await editor.request("textDocument/inlineCompletion", params))["items"])


def texts(items: list[Message]) -> list[str]:
    return [item["insertText"] for item in items]


@pytest.mark.parametrize(("candidates", "wanted"), [(None, 3), (1, 1), (2, 2), (10, 4)])
async def test_as_many_as_are_set(common: Editors, candidates: int | None, wanted: int) -> None:
    editor = await common.begin(options={"completion": {"candidates": candidates}})
    editor.open(URI, "def ad")
    items = await by_key(editor, 6)
    # the first bytes part the answers; what begins as a better one does is no candidate
    assert texts(items) == ["d(a, b):", "mire(a):", "just(a, b):", "vance():"][:wanted]
    here = {"line": 0, "character": 6}
    assert [item["range"] for item in items] == [{"start": here, "end": here}] * wanted
    assert [item["command"]["arguments"] for item in items] == [
        [URI, len(text)] for text in texts(items)
    ]
    assert texts(await editor.complete(URI, 0, 6)) == ["d(a, b):"]
    status = await editor.status()
    assert (status["requests"], status["shown"]) == (2, 2)
    by_typing = status["daemon"]["traces"][-1]
    assert "alternatives" not in by_typing["ms"]


async def test_each_replaces_what_it_writes_itself(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "call()")
    items = await by_key(editor, 5)
    assert texts(items) == ["a)", "b)", "*rest)"]
    assert [item["range"]["end"]["character"] for item in items] == [6, 6, 6]


async def test_each_begins_with_the_selected_menu_item(common: Editors) -> None:
    editor = await common.begin()
    editor.open(URI, "pr")
    span = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 2}}
    items = await by_key(editor, 2, selectedCompletionInfo={"range": span, "text": "print"})
    assert texts(items) == ["print(1)", "print.x"]
    assert [item["range"] for item in items] == [span, span]
