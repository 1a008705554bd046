"""What is written of typing: its shape, and never what must not be in it."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types
from msgspec.structs import replace

from umbrella_daemon import recordings
from umbrella_daemon.lsp.documents import Document, Documents, split_lines
from umbrella_daemon.lsp.positions import Units
from umbrella_daemon.lsp.recorder import Recorder
from umbrella_daemon.settings import CompletionSettings, RecordingSettings, Settings
from umbrella_daemon.typing_trace import Ask, Change, Close, Event, Focus, Open, Trace, mask, read

MASKED = Settings(recording=RecordingSettings(typing="masked"))
PLAIN = Settings(recording=RecordingSettings(typing="plain"))


class Desk:
    """A window with a recorder and no editor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.documents = Documents()
        self.recorder = Recorder(self.documents, self.said.append)
        self.documents.follower = self.recorder

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str = "") -> None:
        self.documents.open(types.TextDocumentItem(self.uri(name), "python", 1, text))

    def edit(self, name: str, first: tuple[int, int], last: tuple[int, int], text: str) -> None:
        span = types.Range(types.Position(*first), types.Position(*last))
        change = types.TextDocumentContentChangePartial(span, text)
        identifier = types.VersionedTextDocumentIdentifier(2, self.uri(name))
        self.documents.change(identifier, [change])

    def place(self, name: str, line: int, character: int) -> types.InlineCompletionParams:
        return types.InlineCompletionParams(
            types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            types.TextDocumentIdentifier(self.uri(name)),
            types.Position(line, character),
        )

    def traces(self) -> list[Trace]:
        """End the recording and give all there are."""
        self.recorder.stop()
        return [read(one.path) for one in recordings.found(self.state)]

    @property
    def state(self) -> Path:
        return Path(os.environ["XDG_STATE_HOME"]) / "umbrella" / "recordings"

    def events(self) -> list[Event]:
        (trace,) = self.traces()
        return list(trace.events)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Desk(tmp_path)


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Open | Change)]


def played(events: list[Event]) -> dict[str, str]:
    """What the documents of a trace hold at its end, by the protocol's own rules."""
    documents = Documents()
    for event in events:
        uri = "file:///" + getattr(event, "document", "")
        if isinstance(event, Open):
            documents.open(types.TextDocumentItem(uri, event.language, 1, event.text))
        elif isinstance(event, Change):
            change: types.TextDocumentContentChangeEvent
            change = types.TextDocumentContentChangeWholeDocument(event.text)
            if event.range is not None:
                start, end = types.Position(*event.range[:2]), types.Position(*event.range[2:])
                change = types.TextDocumentContentChangePartial(types.Range(start, end), event.text)
            documents.change(types.VersionedTextDocumentIdentifier(2, uri), [change])
    return {
        uri.removeprefix("file:///"): "".join(document.lines)
        for uri, document in documents.all().items()
    }


def test_nothing_is_recorded_unasked(desk: Desk) -> None:
    desk.recorder.follow(Settings())
    desk.open("a.py", "x = 1\n")
    desk.recorder.asked(desk.place("a.py", 0, 1))
    assert desk.traces() == []
    assert (desk.said, desk.recorder.place) == ([], None)
    assert not desk.state.exists()


def test_a_session_in_plain_text(desk: Desk) -> None:
    desk.recorder.follow(PLAIN)
    desk.open("my main.py", "x = 1\n")
    desk.recorder.focused(desk.place("my main.py", 0, 5))
    desk.edit("my main.py", (0, 5), (0, 5), "2")
    desk.recorder.asked(desk.place("my main.py", 0, 6))
    desk.recorder.asked(desk.place("my main.py", 0, 6))
    desk.documents.close(desk.uri("my main.py"))
    (trace,) = desk.traces()
    name = "1-my_main.py"
    found = [replace(event, ms=0.0) for event in trace.events]
    assert found == [
        Open(0.0, name, "python", "x = 1\n"),
        Focus(0.0, name, (0, 5)),
        Change(0.0, name, (0, 5, 0, 5), "2"),
        Ask(0.0, name, (0, 6)),
        Close(0.0, name),
    ]
    times = [event.ms for event in trace.events]
    assert times == sorted(times)
    assert not trace.header.masked


def test_masked_nothing_of_the_text_or_the_name_is_left(desk: Desk) -> None:
    desk.recorder.follow(MASKED)
    desk.open("secret_plan.py", "Größe_9 = wichtig  # 42\n")
    desk.edit("secret_plan.py", (0, 0), (0, 0), "geheim")
    events = desk.events()
    assert texts(events) == ["Xxxxx_0 = xxxxxxx  # 00\n", "xxxxxx"]
    (file,) = recordings.found(desk.state)
    for word in ("secret", "plan", "wichtig", "geheim", "42", str(desk.folder)):
        assert word not in file.path.read_text()
    assert desk.traces()[0].header.masked


@given(st.text())
def test_a_mask_keeps_the_shape_and_nothing_else(text: str) -> None:
    text = text.encode("utf-16", "replace").decode("utf-16")
    hidden = mask(text)
    units = Units("utf-16")
    lines, masked = split_lines(text), split_lines(hidden)
    assert [units.count(line) for line in lines] == [units.count(line) for line in masked]
    assert all(
        one in "xX0" or (one.isascii() and not one.isalnum()) or one.isspace() for one in hidden
    )
    assert [one for one in hidden if one.isspace()] == [one for one in text if one.isspace()]


EDITS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 4), st.integers(0, 9))
    .flatmap(lambda span: st.tuples(st.just(span), st.text("aB7 _é😀(\r\n", max_size=6))),
    max_size=12,
)  # fmt: skip


@given(text=st.text("aB7 _é😀(\r\n", max_size=30), edits=EDITS)
def test_replaying_gives_the_documents_or_their_masks(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    edits: list[tuple[tuple[int, int, int, int], str]],
) -> None:
    for settings, shown in ((PLAIN, str), (MASKED, mask)):
        with pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("desk")
            patch.setenv("XDG_STATE_HOME", str(folder / "state"))
            desk = Desk(folder)
            desk.documents.units = Units("utf-8")  # whatever the editor's columns are
            desk.recorder.follow(settings)
            desk.open("a.py", text)
            for (line, character, last, end), new in edits:
                desk.edit("a.py", (line, character), (last, end), new)
            document = desk.documents.get(desk.uri("a.py"))
            assert isinstance(document, Document)
            assert list(played(desk.events()).values()) == [shown("".join(document.lines))]


def test_what_is_kept_out_is_not_recorded(desk: Desk) -> None:
    (desk.folder / ".umbrellaignore").write_text("private/\n")
    (desk.folder / "private").mkdir()
    (desk.folder / "client").mkdir()
    completion = CompletionSettings(
        disabled_globs=("*.min.js",), context_off=(str(desk.folder / "client"),), max_file_mb=0.001
    )
    desk.recorder.follow(replace(PLAIN, completion=completion))
    for name in (".env", "private/a.py", "client/a.py", "x.min.js", "id_rsa"):
        desk.open(name, "TOKEN = 1\n")
        desk.edit(name, (0, 0), (0, 0), "y")
        desk.recorder.asked(desk.place(name, 0, 1))
        desk.recorder.focused(desk.place(name, 0, 1))
        desk.documents.close(desk.uri(name))
    desk.open("large.py", "x" * 1001)
    desk.open("a.py", "x")
    assert texts(desk.events()) == ["x"]


def test_nothing_is_recorded_while_completion_is_paused(desk: Desk) -> None:
    desk.open("a.py", "one\n")
    desk.recorder.follow(PLAIN)
    paused = replace(PLAIN, completion=CompletionSettings(enabled=False))
    desk.recorder.follow(paused)
    desk.edit("a.py", (0, 0), (0, 0), "unseen ")
    desk.edit("a.py", (0, 0), (0, 7), "")
    desk.recorder.follow(PLAIN)
    events = desk.events()
    assert [type(event) for event in events] == [Open, Close, Open]
    assert texts(events) == ["one\n", "one\n"]


def test_an_accepted_edit_is_told_apart(desk: Desk) -> None:
    desk.recorder.follow(PLAIN)
    desk.open("a.py")
    desk.edit("a.py", (0, 0), (0, 0), "d")
    desk.edit("a.py", (0, 1), (0, 1), "ef main():")
    desk.recorder.asked(desk.place("a.py", 0, 11))
    desk.recorder.accepted()
    changes = [event for event in desk.events() if isinstance(event, Change)]
    assert [change.accepted for change in changes] == [False, True]


def test_the_file_is_the_users_alone_and_locked_while_written(desk: Desk) -> None:
    desk.recorder.follow(MASKED)
    desk.open("a.py", "x\n")
    (file,) = recordings.found(desk.state)
    assert file.under_way
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.state.stat().st_mode) == 0o700
    assert desk.recorder.place == str(file.path)
    (said,) = desk.said
    assert str(file.path) in said
    assert "masked" in said
    desk.recorder.follow(Settings())
    assert recordings.under_way(desk.state) == []
    assert desk.recorder.place is None


def test_a_recording_ends_at_its_size_and_stays_readable(desk: Desk) -> None:
    small = RecordingSettings(typing="plain", max_mb=0.002)
    desk.recorder.follow(Settings(recording=small))
    desk.open("a.py")
    for _ in range(100):
        desk.edit("a.py", (0, 0), (0, 0), "y")
    assert desk.recorder.place is None
    assert "recording.max_mb = 0.002" in desk.said[-1]
    (file,) = recordings.found(desk.state)
    assert 1500 < file.size <= 2000
    assert len(desk.events()) > 10
    assert len(desk.said) == 2


def test_a_place_that_cannot_be_written_is_told(desk: Desk) -> None:
    desk.state.parent.mkdir(parents=True)
    desk.state.write_text("in the way")
    desk.recorder.follow(MASKED)
    desk.open("a.py", "x")
    (said,) = desk.said
    assert "typing is not recorded" in said
    assert desk.recorder.place is None
