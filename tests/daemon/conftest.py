"""What tests of the daemon's commands share: a home that nothing leaves, and a tiny real pair."""

from pathlib import Path

import pytest

from tests import bpe
from tests.daemons import Home
from tests.engine.tiny import save_family


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
