"""Golden vectors of another project's post-processing, run through ours.

Usage: python -m tests.bench.bench_golden FOLDER [--verbose]

FOLDER holds Tabby's vectors (tabby-agent/src/codeCompletion/postprocess/golden, Apache-2.0): TOML
files with a document in which `├` and `┤` enclose what a model wrote, and what is expected. An
outcome agrees when accepting it leaves the same document; vectors that Tabby marks `notEqual` hold
a result that it wants or does not want but never gets, and agree when ours differs, or when ours is
what it wants. The last line is JSON; the exit status says whether 90 % agree.
"""

import argparse
import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from umbrella_daemon.resident.postprocess import Shown, settle
from umbrella_daemon.wire import Complete

MAX_LINES: Final = 8  # the default of completion.max_lines
SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one vector came out."""

    name: str
    agrees: bool
    document: str  # after accepting
    expected: str


def run(path: Path) -> Verdict:
    """Run one vector."""
    vector = tomllib.loads(path.read_text("utf-8"))
    given = vector["context"]["text"]
    prefix, answer, suffix = _parts(given)
    language = vector["context"]["language"]
    request = Complete(1, path.name, 1, language, path.name, prefix, suffix)
    outcome = settle(request, answer, MAX_LINES)
    document = prefix + suffix
    if isinstance(outcome, Shown):
        document = prefix + outcome.text + suffix[outcome.replace_after :]
    expected = _expected(vector["expected"], given)
    wished_away = bool(vector["expected"].get("notEqual"))
    return Verdict(path.name, wished_away or document == expected, document, expected)


def _parts(text: str) -> tuple[str, str, str]:
    """Give what stands before, in and after the completion."""
    prefix, _, rest = text.partition("├")
    answer, _, suffix = rest.partition("┤")
    return prefix, answer, suffix


def _expected(expected: dict[str, Any], given: str) -> str:
    """Give the document that the vector wants after accepting."""
    if expected.get("discard"):
        prefix, _, suffix = _parts(given)
        return prefix + suffix
    prefix, answer, suffix = _parts(given if expected.get("unchanged") else expected["text"])
    _, replaced, rest = suffix.rpartition("╣")
    return prefix + answer + (rest if replaced else suffix)


def main() -> int:
    """Run all vectors of a folder."""
    parser = argparse.ArgumentParser(description="Golden post-processing vectors.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    verdicts = [run(path) for path in sorted(options.folder.glob("*.toml"))]
    if not verdicts:
        print(f"no vectors (*.toml) in {options.folder}", file=sys.stderr)
        return 2
    for verdict in verdicts:
        print("agrees " if verdict.agrees else "DIFFERS", verdict.name)
        if options.verbose or not verdict.agrees:
            print(f"--- ours\n{verdict.document}\n--- expected\n{verdict.expected}")
    agreeing = sum(verdict.agrees for verdict in verdicts)
    print(json.dumps({"vectors": len(verdicts), "agree": agreeing}))
    return 0 if agreeing >= SHARE * len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
