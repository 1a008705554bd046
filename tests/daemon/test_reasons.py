"""Silence is explained: each reason has a sentence in the documentation."""

import re
from pathlib import Path

from umbrella_daemon.wire import Reason

README = Path(__file__).parents[2] / "daemon" / "README.md"


def test_each_reason_is_documented_and_none_besides() -> None:
    reasons = {value for name, value in vars(Reason).items() if name.isupper()}
    section = README.read_text("utf-8").partition("## Reasons for silence")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", section, re.MULTILINE)
    assert {name for name, _ in rows} == reasons
    assert all(len(sentence) > 8 for _, sentence in rows)
