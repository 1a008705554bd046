import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.engine.sources.serving import Server, pip_uses, serving
from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress
from umbrella_engine.sources import download
from umbrella_engine.sources.hub import HubModel

COMMIT = "c" * 40
WEIGHTS = {f"model-0000{n}-of-00002.safetensors": os.urandom(2_000_000) for n in (1, 2)}
INDEX = {"weight_map": {f"tensor{i}": name for i, name in enumerate(WEIGHTS)}}
FILES = WEIGHTS | {
    "model.safetensors.index.json": json.dumps(INDEX).encode(),
    "config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
    "README.md": b"not wanted",
    "consolidated.safetensors": b"the same in another layout",
    "pytorch_model.bin": b"pickle",
}


def ignore(_: Progress) -> None:
    pass


def publish(server: Server, files: dict[str, bytes], branch: str = "main") -> None:
    siblings = [
        {"rfilename": name, "size": len(content)}
        | (
            {
                "lfs": {
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "size": len(content),
                    "pointerSize": 134,
                }
            }
            if name.endswith(".safetensors")
            else {}
        )
        for name, content in files.items()
    ]
    about = {"id": "owner/model", "sha": COMMIT, "siblings": siblings}
    server.files[f"/api/models/owner/model/revision/{branch}"] = json.dumps(about).encode()
    for name, content in files.items():
        server.files[f"/owner/model/resolve/{COMMIT}/{name}"] = content


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A hub at another address, with a cache and a token of its own."""
    pip_uses(monkeypatch)  # without its proxies
    monkeypatch.setattr(download, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        publish(server, FILES)
        yield server


@pytest.fixture
def model(tmp_path: Path) -> HubModel:
    return HubModel("owner/model", "main", tmp_path / "models")


def asked(server: Server, name: str) -> list[str]:
    return server.ranges_of(f"/owner/model/resolve/{COMMIT}/{name}")


def test_a_folder_with_the_wanted_files_only(server: Server, model: HubModel) -> None:
    seen: list[Progress] = []
    folder = model.obtain(seen.append, offline=False)
    unwanted = {"README.md", "consolidated.safetensors", "pytorch_model.bin"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: content for name, content in FILES.items() if name not in unwanted
    }
    assert folder.name == "model"
    assert seen[1].message == "downloading 4 MB of weights: owner/model on the Hugging Face hub"
    assert seen[-1].done == seen[-1].total > 4_000_000


def test_what_is_here_is_given_without_any_request(server: Server, model: HubModel) -> None:
    assert model.find() is None
    folder = model.obtain(ignore, offline=False)
    before = len(server.requests)
    assert model.find() == folder
    assert model.obtain(ignore, offline=True) == folder
    assert len(server.requests) == before


def test_only_the_damaged_file_is_fetched_again(server: Server, model: HubModel) -> None:
    folder = model.obtain(ignore, offline=False)
    bad, good = WEIGHTS
    (folder / bad).write_bytes(WEIGHTS[bad][:-1] + b"!")
    assert model.find() is None
    seen: list[Progress] = []
    assert model.obtain(seen.append, offline=False) == folder
    assert (folder / bad).read_bytes() == WEIGHTS[bad]
    assert f"model has a damaged file, {bad}; fetching it again" in seen[0].message
    assert (len(asked(server, bad)), len(asked(server, good))) == (2, 1)


def test_an_unfinished_file_is_continued(server: Server, model: HubModel) -> None:
    first, second = WEIGHTS
    digest = hashlib.sha256(WEIGHTS[second]).hexdigest()
    model.path.mkdir(parents=True)
    (model.path / first).write_bytes(WEIGHTS[first])
    (model.path / f"{second}.{digest[:8]}.part").write_bytes(WEIGHTS[second][:1_200_000])
    (model.path / "model.safetensors.00000000.part").write_bytes(b"of an older commit")
    folder = model.obtain(ignore, offline=False)
    assert asked(server, first) == []
    assert asked(server, second) == ["bytes=1200000-"]
    assert (folder / second).read_bytes() == WEIGHTS[second]
    assert not list(folder.glob("*.part"))


def test_a_file_that_is_not_what_the_hub_promised(server: Server, model: HubModel) -> None:
    name = next(iter(WEIGHTS))
    server.files[f"/owner/model/resolve/{COMMIT}/{name}"] = b"?" * 2_000_000
    with pytest.raises(WeightsError, match="came damaged and was thrown away"):
        model.obtain(ignore, offline=False)
    assert model.find() is None


def test_the_cache_of_other_tools_is_used(server: Server, model: HubModel, tmp_path: Path) -> None:
    snapshot = tmp_path / "hf" / "models--owner--model" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(COMMIT)
    for name, content in FILES.items():
        (snapshot / name).write_bytes(content)
    assert model.find() == snapshot
    (snapshot / next(iter(WEIGHTS))).unlink()  # as an interrupted download leaves it
    assert model.find() is None
    assert server.requests == []


def test_another_revision_is_kept_apart(server: Server, tmp_path: Path) -> None:
    publish(server, FILES, branch="refs%2Fpr%2F1")
    model = HubModel("owner/model", "refs/pr/1", tmp_path / "models")
    assert model.obtain(ignore, offline=False).name == "model@refs--pr--1"


def test_the_users_token_is_sent(
    server: Server, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    model.obtain(ignore, offline=False)
    assert {auth for _, _, auth in server.requests} == {"Bearer hf_secret"}


def test_a_repository_without_safetensors(server: Server, model: HubModel) -> None:
    publish(server, {"model.gguf": b"x", "config.json": b"{}"})
    with pytest.raises(WeightsError, match="for a GGUF file, download it and name it with path"):
        model.obtain(ignore, offline=False)


def test_a_repository_without_a_tokenizer(server: Server, model: HubModel) -> None:
    publish(server, {name: FILES[name] for name in FILES if name != "tokenizer.json"})
    with pytest.raises(WeightsError, match=r"the repository has no tokenizer\.json"):
        model.obtain(ignore, offline=False)


@pytest.mark.parametrize(
    ("repository", "said"),
    [("owner/unknown", "404"), ("no-owner", "is no repository id"), ("../../x", "is no repo")],
)
def test_what_is_not_there_is_said(
    repository: str, said: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=said):
        HubModel(repository, "main", tmp_path / "models").obtain(ignore, offline=False)


def test_offline_nothing_is_asked(server: Server, model: HubModel) -> None:
    with pytest.raises(WeightsError, match=r"models\.offline is set"):
        model.obtain(ignore, offline=True)
    assert server.requests == []
