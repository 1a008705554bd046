"""Typing with the embedded default: each keystroke computes what is new, nothing else."""

import os
from pathlib import Path

import platformdirs
import pytest

from tests.bench.bench_typing import MOST_EXTRA, type_code
from umbrella_daemon.pairs import load_pair
from umbrella_daemon.settings import PromptSettings
from umbrella_engine import DraftConfig, EngineConfig
from umbrella_engine.load import load


@pytest.mark.weights
def test_a_typed_character_computes_a_few_tokens() -> None:
    cache = platformdirs.user_cache_path("umbrella", appauthor=False) / "models"
    directory = Path(os.environ.get("UMBRELLA_MODELS__DIRECTORY", cache))
    config = EngineConfig(device="cpu")
    engine = load(load_pair("smollm2"), config, DraftConfig(), directory, lambda _progress: None)
    keystrokes = list(type_code(engine, 24, PromptSettings(prefix_tokens=256)))
    assert len(keystrokes) == 24
    assert keystrokes[0].prompt_tokens > 100
    assert max(key.prefilled for key in keystrokes) <= 1 + MOST_EXTRA
