"""The demo with the embedded default: real weights, everything else as in `make demo`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from tests.editor import isolated

pytestmark = [pytest.mark.e2e, pytest.mark.weights, pytest.mark.timeout(600)]

COMMAND = str(Path(sys.executable).with_name("umbrella"))
SECONDS = 240  # on two busy cores


def test_the_embedded_default_completes_the_sample(tmp_path: Path) -> None:
    cache = platformdirs.user_cache_path("umbrella", appauthor=False) / "models"
    models = os.environ.get("UMBRELLA_MODELS__DIRECTORY", str(cache))
    environment = isolated(tmp_path) | {
        "UMBRELLA_PAIR": "smollm2",
        "UMBRELLA_ENGINE__DEVICE": "cpu",
        "UMBRELLA_MODELS__DIRECTORY": models,
    }

    def umbrella(*arguments: str) -> str:
        return subprocess.run(
            [COMMAND, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        ).stdout

    try:
        shown = umbrella("demo")
        status = json.loads(umbrella("status", "--json", "--traces", "21"))
    finally:
        umbrella("stop")
    assert "«return sum(item.price for item in self.items.values())»" in shown
    assert re.search(r"first suggestion after [\d.]+ s", shown)
    assert re.search(r"\d+ ms \(p50\) and \d+ ms \(p95\)", shown)
    first, *typed = status["traces"]
    assert first["target_steps"] < first["generated_tokens"]  # drafts were accepted
    assert len(typed) == 20
    assert max(trace["prefilled_tokens"] for trace in typed) <= 1 + 8
    assert all(trace["reason"] == "" for trace in typed)
