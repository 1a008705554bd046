"""Prompts for benchmarks of drafting: fresh code, edits that repeat, long files.

All from files of the standard library, always the same for a vocabulary. Each is a prompt in token
ids, laid out as the daemon does, cut at a line's start.
"""

import random
import re
from collections.abc import Iterator
from pathlib import Path

from umbrella_daemon.resident.prompt import Prompt, build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine.interface import Tokenizer
from umbrella_engine.tune.corpus import default_folder

HOLE_LINES = 8
GROUPS = ("fresh", "edits", "long")
SHORT = PromptSettings(prefix_tokens=384, suffix_tokens=128)
LONG = PromptSettings(prefix_tokens=1536, suffix_tokens=256)


def prompts(group: str, count: int, tokenizer: Tokenizer, seed: int = 7) -> list[Prompt]:
    """Give `count` prompts of a group; see `GROUPS`."""
    rng = random.Random(f"{seed} {group}")
    files = sorted(default_folder().glob("*.py"))
    rng.shuffle(files)
    make, settings, room = {
        "fresh": (_hole, SHORT, 768),
        "edits": (_edit, SHORT, 768),
        "long": (_hole, LONG, 2048),
    }[group]
    least = 60_000 if group == "long" else 8_000
    requests = (
        request for path in files if path.stat().st_size >= least for request in make(path, rng)
    )
    found: list[Prompt] = []
    for request, _ in zip(requests, range(count), strict=False):
        found.append(build_prompt(request, tokenizer, settings, room))
    return found


def _hole(path: Path, rng: random.Random) -> Iterator[Complete]:
    """Cut some lines out of the file, from the start of a line of code on."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if i > len(lines) // 2 and len(line.strip()) > 20]
    if places:
        row = rng.choice(places)
        yield _request(path, "".join(lines[:row]), "\n" + "".join(lines[row + HOLE_LINES :]))


def _edit(path: Path, rng: random.Random) -> Iterator[Complete]:
    """Begin to write a function of the file anew, under another name, right below the first."""
    text = path.read_text("utf-8")
    functions = [
        found
        for found in re.finditer(r"^( *)def (\w+)\(.*\n(?:\1 +.*\n|\n)+", text, re.MULTILINE)
        if 10 <= found[0].count("\n") <= 30
    ]
    if functions:
        function = rng.choice(functions)
        body = function[0].rstrip() + "\n\n"
        renamed = body.replace(function[2], f"{function[2]}_again")
        start = "".join(renamed.splitlines(keepends=True)[:2])
        yield _request(path, text[: function.start()] + body + start, text[function.end() :])


def _request(path: Path, prefix: str, suffix: str) -> Complete:
    return Complete(
        id=0,
        document=path.name,
        version=1,
        language="python",
        path=path.name,
        prefix=prefix,
        suffix=suffix,
    )
