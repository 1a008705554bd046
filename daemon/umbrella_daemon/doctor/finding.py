"""What a check of the doctor says."""

from typing import Literal

import msgspec

Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `advice` says what to do and is empty when there is nothing to do."""

    level: Level
    found: str
    advice: str = ""


def ok(found: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", found)


def warn(found: str, advice: str) -> Finding:
    """Completions come, but not as they could."""
    return Finding("warn", found, advice)


def fail(found: str, advice: str) -> Finding:
    """Completions will not come."""
    return Finding("fail", found, advice)
