"""What tests of the benchmarks share: a tiny real pair, and a home that nothing leaves."""

from pathlib import Path

import pytest

from tests import bpe
from tests.daemons import Home
from tests.engine.tiny import save_family

FAST = ("-s", "engine.dtype=float32", "-s", "engine.kv_cache_mb=32")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(tmp_path, monkeypatch)


@pytest.fixture
def pair(home: Home) -> Path:
    """A tiny pair's TOML; the draft is another random model, so little of it is kept."""
    for role in ("target", "draft"):
        folder = home.path / role
        folder.mkdir()
        size = bpe.write(folder, "fim").vocab_size
        save_family("qwen2", folder, vocab_size=size, max_position_embeddings=1024)
    path = home.path / "tiny.toml"
    path.write_text('[target]\npath = "target"\n[draft]\npath = "draft"\n')
    return path


@pytest.fixture
def code(home: Home) -> Path:
    """A folder with one source file."""
    folder = home.path / "code"
    folder.mkdir()
    lines = (f"def value_{n}(number, scale):\n    return number * scale + {n}\n" for n in range(90))
    (folder / "a.py").write_text("\n".join(lines))
    return folder
