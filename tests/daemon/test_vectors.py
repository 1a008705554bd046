"""The vectors of `tests/data/postprocess`, each through the one pure function."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from umbrella_daemon.resident.postprocess import Shown, settle
from umbrella_daemon.resident.stopping import Stopping
from umbrella_daemon.wire import Complete

FOLDER = Path(__file__).parent.parent / "data" / "postprocess"
MAX_LINES = 8


def cases() -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        content = tomllib.loads(path.read_text("utf-8"))
        for case in content["case"]:
            case["language"] = content["language"]
            found.append(pytest.param(case, id=f"{path.stem}: {case['name']}"))
    return found


CASES = cases()


def request(case: dict[str, Any]) -> tuple[Complete, str]:
    prefix, _, rest = case["given"].partition("├")
    text, _, suffix = rest.partition("┤")
    return Complete(1, "file:///a", 1, case["language"], "a", prefix, suffix), text


def test_the_set_is_large_wide_and_mostly_harmless() -> None:
    values = [case.values[0] for case in CASES]
    unchanged = [case for case in values if not {"shown", "silent", "replaces"} & case.keys()]
    assert len(values) >= 200
    assert len({case["language"] for case in values}) >= 10
    assert len(unchanged) >= len(values) / 2
    known = {"name", "given", "language", "shown", "silent", "replaces", "cut"}
    assert all(case.keys() <= known for case in values)
    assert len({(case["language"], case["name"]) for case in values}) == len(values)


@pytest.mark.parametrize("case", CASES)
def test_vector(case: dict[str, Any]) -> None:
    complete, text = request(case)
    outcome = settle(complete, text, MAX_LINES, cut=case.get("cut", False))
    if "silent" in case:
        assert not isinstance(outcome, Shown)
        assert outcome.reason == case["silent"]
        return
    replaces = case.get("replaces", "")
    assert complete.suffix.startswith(replaces)
    assert outcome == Shown(case.get("shown", text), len(replaces))


@pytest.mark.parametrize("case", CASES)
def test_a_text_that_ended_in_the_loop_ends_the_same_afterwards(case: dict[str, Any]) -> None:
    complete, text = request(case)
    for length in range(1, len(text) + 1):
        ended = Stopping(complete, MAX_LINES).update(text[:length])
        if ended is not None:
            assert settle(complete, ended, MAX_LINES) == settle(complete, text, MAX_LINES)
            assert Stopping(complete, MAX_LINES).finish(text) == ended
            return
