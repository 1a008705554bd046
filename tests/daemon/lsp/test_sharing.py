from pathlib import Path
from typing import cast

import pytest
from lsprotocol import types

from umbrella_daemon.client import DaemonClient
from umbrella_daemon.lsp.documents import Documents
from umbrella_daemon.lsp.sharing import MOST_DOCUMENTS, Sharing
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Closed, Notice, Opened


class Told:
    """Stands where the client is; remembers what it is told."""

    def __init__(self) -> None:
        self.connected = True
        self.link = object()
        self.notices: list[Notice] = []

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)

    def fresh(self) -> list[str]:
        """Names of the files told of since the last look, with `-` before closed ones."""
        names = []
        for notice in self.notices:
            assert isinstance(notice, Opened | Closed)
            name = notice.document.rpartition("/")[2]
            names.append(name if isinstance(notice, Opened) else f"-{name}")
        self.notices.clear()
        return names


class Bench:
    def __init__(self, folder: Path) -> None:
        self.told = Told()
        self.documents = Documents()
        self._sharing = Sharing()
        self._folder = folder

    def uri(self, name: str) -> str:
        return (self._folder / name).as_uri()

    def open(self, name: str, text: str = "x = 1\n", version: int = 1) -> None:
        self.documents.open(types.TextDocumentItem(self.uri(name), "python", version, text))

    def ask(self, name: str, **settings: bool) -> list[str]:
        client = cast(DaemonClient, self.told)
        completion = CompletionSettings(**settings)  # type: ignore[arg-type]
        self._sharing.tell(client, self.documents, self.uri(name), completion)
        return self.told.fresh()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    for name in ("a.py", "b.py", ".env"):
        bench.open(name)
    return bench


def test_the_others_are_told_of_once_and_again_when_they_change(bench: Bench) -> None:
    assert bench.ask("a.py") == ["b.py"]
    assert bench.ask("a.py") == []
    bench.open("b.py", "y = 2\n", version=2)
    bench.open("a.py", "z = 3\n", version=2)
    assert bench.ask("a.py") == ["b.py"]
    assert bench.ask("b.py") == ["a.py"]


def test_the_text_is_whole(bench: Bench) -> None:
    bench.documents.close(bench.uri(".env"))
    bench._sharing.tell(
        cast(DaemonClient, bench.told), bench.documents, bench.uri("a.py"), CompletionSettings()
    )
    (notice,) = bench.told.notices
    assert isinstance(notice, Opened)
    assert (notice.language, notice.text) == ("python", "x = 1\n")
    assert notice.path.endswith("/b.py")


def test_closed_documents_are_told_of(bench: Bench) -> None:
    bench.ask("a.py")
    bench.documents.close(bench.uri("b.py"))
    assert bench.ask("a.py") == ["-b.py"]
    assert bench.ask("a.py") == []


def test_another_daemon_is_told_of_everything_again(bench: Bench) -> None:
    bench.ask("a.py")
    bench.told.connected = False
    assert bench.ask("a.py") == []
    bench.told.connected, bench.told.link = True, object()
    assert bench.ask("a.py") == ["b.py"]


def test_nothing_is_told_where_context_is_off(bench: Bench) -> None:
    assert bench.ask("a.py", context=False) == []
    assert bench.ask("a.py") == ["b.py"]


def test_large_and_many_documents_are_left_out(bench: Bench) -> None:
    bench.open("large.py", "x" * 200_000)
    assert bench.ask("a.py") == ["b.py"]
    for number in range(30):
        bench.open(f"{number}.py")
    assert len(bench.ask("a.py")) == MOST_DOCUMENTS
