import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.sources.serving import Server, serving
from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress
from umbrella_engine.sources import download as module
from umbrella_engine.sources.download import Arrived, ByteProgress, Network, download

BODY = bytes(range(256)) * 20_000  # 5 MB
PLAIN = Network()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as server:
        server.files["/w"] = BODY
        yield server


class Watch:
    """What a download said on its way."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.arrived: list[tuple[int, int]] = []

    def __call__(self, coming: int, total: int) -> Arrived:
        self.begun.append((coming, total))
        return lambda here, total: self.arrived.append((here, total))


def test_the_size_is_said_first_and_all_bytes_come(server: Server, tmp_path: Path) -> None:
    watch = Watch()
    download(f"{server.url}/w", tmp_path / "part", PLAIN, watch)
    assert (tmp_path / "part").read_bytes() == BODY
    assert watch.begun == [(len(BODY), len(BODY))]
    assert watch.arrived[-1] == (len(BODY), len(BODY))
    assert [here for here, _ in watch.arrived] == sorted({here for here, _ in watch.arrived})


def test_a_broken_connection_is_continued_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cut_after = 2_000_000
    watch = Watch()
    download(f"{server.url}/w", tmp_path / "part", PLAIN, watch)
    assert (tmp_path / "part").read_bytes() == BODY
    first, second = server.ranges_of("/w")
    assert first == ""
    begin = int(second.removeprefix("bytes=").removesuffix("-"))
    assert 0 < begin <= 2_000_000
    assert watch.begun[1] == (len(BODY) - begin, len(BODY))


def test_what_an_earlier_process_left_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY[:1_234_567])
    download(f"{server.url}/w", tmp_path / "part", PLAIN, Watch())
    assert (tmp_path / "part").read_bytes() == BODY
    assert server.ranges_of("/w") == ["bytes=1234567-"]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "part").write_bytes(b"x" * 1000)
    download(f"{server.url}/w", tmp_path / "part", PLAIN, Watch())
    assert (tmp_path / "part").read_bytes() == BODY


def test_a_whole_partial_file_needs_no_more_bytes(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY)
    watch = Watch()
    download(f"{server.url}/w", tmp_path / "part", PLAIN, watch)
    assert (tmp_path / "part").read_bytes() == BODY
    assert watch.begun == []


def test_a_partial_file_that_is_too_long_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY + b"more")
    download(f"{server.url}/w", tmp_path / "part", PLAIN, Watch())
    assert (tmp_path / "part").read_bytes() == BODY


def test_a_refusal_before_the_first_byte_writes_nothing(server: Server, tmp_path: Path) -> None:
    def refuse(_coming: int, _total: int) -> Arrived:
        raise WeightsError("no room")

    with pytest.raises(WeightsError, match="no room"):
        download(f"{server.url}/w", tmp_path / "part", PLAIN, refuse)
    assert not (tmp_path / "part").exists()


def test_a_missing_file_names_the_url_without_its_password(server: Server, tmp_path: Path) -> None:
    url = server.url.replace("//", "//me:secret@")
    with pytest.raises(WeightsError) as caught:
        download(f"{url}/none", tmp_path / "part", PLAIN, Watch())
    assert f"the server answers 404 Not Found, {server.url}/none" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_that_wants_a_password_says_so(server: Server, tmp_path: Path) -> None:
    server.password = "me:secret"
    with pytest.raises(WeightsError, match="answers 401 Unauthorized"):
        download(f"{server.url}/w", tmp_path / "part", PLAIN, Watch())


def test_nobody_there_keeps_what_is_here(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(BODY[:1000])
    with serving() as gone:
        url = gone.url
    with pytest.raises(WeightsError, match="1000 bytes are kept and the next try goes on there"):
        download(f"{url}/w", tmp_path / "part", PLAIN, Watch())
    assert (tmp_path / "part").read_bytes() == BODY[:1000]


def test_password_and_headers_are_sent(server: Server, tmp_path: Path) -> None:
    server.password = "me:secret"
    network = Network(auth=("me", "secret"))
    download(f"{server.url}/w", tmp_path / "part", network, Watch())
    assert server.requests[-1][2] == "Basic bWU6c2VjcmV0"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Give a file with a certificate that nobody signed, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("this system has no openssl to make a certificate with")
    path, key = tmp_path / "own.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


def test_certificates_of_ones_own_are_trusted_only_when_named(
    server: Server, certificate: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    with serving(certificate) as safe:
        safe.files = server.files
        with pytest.raises(WeightsError, match="CERTIFICATE_VERIFY_FAILED"):
            download(f"{safe.url}/w", part, PLAIN, Watch())
        assert not part.exists()
        download(f"{safe.url}/w", part, Network(certificates=str(certificate)), Watch())
    assert part.read_bytes() == BODY


def test_certificates_that_cannot_be_read_are_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"the certificates in .*gone\.pem cannot be read"):
        download(server.url, tmp_path / "part", Network(str(tmp_path / "gone.pem")), Watch())


def test_progress_is_reported_in_visible_steps() -> None:
    seen: list[Progress] = []
    progress = ByteProgress(seen.append, "downloading it")
    for done in range(0, 10_000_001, 1000):
        progress(done, 10_000_000)
    assert len(seen) == 10
    assert seen[-1] == Progress("downloading", "downloading it", 10_000_000, 10_000_000)
