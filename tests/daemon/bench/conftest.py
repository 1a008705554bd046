"""What tests of the benchmarks share besides the pair: a folder of code."""

from pathlib import Path

import pytest

from tests.daemons import Home

FAST = ("-s", "engine.dtype=float32", "-s", "engine.kv_cache_mb=32")


@pytest.fixture
def code(home: Home) -> Path:
    """A folder with one source file."""
    folder = home.path / "code"
    folder.mkdir()
    lines = (f"def value_{n}(number, scale):\n    return number * scale + {n}\n" for n in range(90))
    (folder / "a.py").write_text("\n".join(lines))
    return folder
