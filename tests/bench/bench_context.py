"""Whether pieces of other files help a model, or cost it.

Usage: python -m tests.bench.bench_context TARGET [--holes 60] [--context-tokens 512] [--seed 5]
       [--prefix-tokens 1024] [--seconds 600]

Holes are cut from packages of the standard library: the rest of a line that uses a name which
another file of the same package defines. Each is asked once without and once with what the daemon
selects from the other files, all of which count as open. TARGET is a safetensors folder or a GGUF
file. The last line is JSON: exact matches and edit similarity of the rest of the line, prompt
tokens, and how often the answers differ.
"""

import argparse
import difflib
import json
import random
import re
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from statistics import mean

from msgspec.structs import replace

from tests.bench.bench_pair import library_source
from umbrella_daemon.resident.chunks import chunks
from umbrella_daemon.resident.completer import Completer
from umbrella_daemon.resident.context import CHARACTERS, snippets
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.workspace import Workspace
from umbrella_daemon.settings import load_settings
from umbrella_daemon.wire import Complete, Opened
from umbrella_engine import DraftConfig, EngineConfig, ModelSource, PairConfig
from umbrella_engine.load import load

PACKAGES = (
    "asyncio", "concurrent/futures", "email", "http", "importlib", "json", "logging",
    "multiprocessing", "unittest", "urllib", "wsgiref", "xml/etree", "zoneinfo",
)  # fmt: skip
WORD = re.compile(r"\b[A-Za-z_]\w{4,}")


def packages() -> dict[str, dict[str, str]]:
    """Give the files of each package with their texts."""
    library = Path(sysconfig.get_paths()["stdlib"])
    return {
        package: {
            f"{package}/{path.name}": library_source(f"{package}/{path.name}")
            for path in sorted((library / package).glob("*.py"))
        }
        for package in PACKAGES
    }


def holes(count: int, seed: int) -> list[tuple[Complete, str, dict[str, str]]]:
    """Give requests, what stood there, and the other files."""
    rng = random.Random(seed)
    found: list[tuple[Complete, str, dict[str, str]]] = []
    for files in packages().values():
        defined = {
            name: {word for piece in chunks(name, text) for word in piece.defines}
            for name, text in files.items()
        }
        for name, text in files.items():
            others = {other: files[other] for other in files if other != name}
            foreign = set().union(*(defined[other] for other in others)) - defined[name]
            lines = text.splitlines(keepends=True)
            rows = [
                row
                for row, line in enumerate(lines)
                if row > 20 and line[0].isspace() and set(WORD.findall(line)) & foreign
            ]
            for row in rng.sample(rows, min(2, len(rows))):
                line = lines[row].rstrip("\n")
                word = next(one for one in WORD.finditer(line) if one[0] in foreign)
                cut = word.start()
                request = Complete(
                    id=len(found),
                    document=name,
                    version=1,
                    language="python",
                    path=name,
                    prefix="".join(lines[:row]) + line[:cut],
                    suffix="\n" + "".join(lines[row + 1 :]),
                    explicit=True,
                    max_lines=1,
                )
                found.append((request, line[cut:], others))
    rng.shuffle(found)
    return found[:count]


def main() -> int:
    """Ask and compare."""
    parser = argparse.ArgumentParser(description="With and without other files.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--holes", type=int, default=60)
    parser.add_argument("--context-tokens", type=int, default=512)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--prefix-tokens", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=600, help="no further hole after these")
    options = parser.parse_args()
    settings = load_settings(environ={})
    settings = replace(
        settings,
        prompt=replace(
            settings.prompt,
            context_tokens=options.context_tokens,
            prefix_tokens=options.prefix_tokens,
        ),
    )
    pair = PairConfig(name="context", target=ModelSource(path=str(options.target)))
    store = Path(tempfile.gettempdir()) / "umbrella-bench-models"
    engine = load(pair, EngineConfig(), DraftConfig(), store, lambda _: None)
    completer = Completer(engine, settings)
    exact: dict[str, list[bool]] = {"without": [], "with": []}
    similar: dict[str, list[float]] = {"without": [], "with": []}
    tokens: dict[str, list[int]] = {"without": [], "with": []}
    started = time.monotonic()
    for request, wanted, others in holes(options.holes, options.seed):
        if time.monotonic() - started > options.seconds:
            break
        window = Workspace(settings.completion, CHARACTERS * options.context_tokens)
        for name, text in others.items():
            window.open(Opened(name, "python", name, text))
        look = window.candidates(request)
        selected = snippets(look() if look else ())
        for kind, asked in (("without", request), ("with", replace(request, snippets=selected))):
            answer = completer.complete(Job(1, asked, lambda _: None))
            line = answer.text.split("\n")[0].rstrip()
            exact[kind].append(line == wanted.rstrip())
            similar[kind].append(difflib.SequenceMatcher(None, line, wanted.rstrip()).ratio())
            tokens[kind].append(answer.trace.prompt_tokens)
    figures = {
        kind: {
            "holes": len(exact[kind]),
            "exact": round(mean(exact[kind]), 3),
            "similar": round(mean(similar[kind]), 3),
            "prompt_tokens": round(mean(tokens[kind])),
        }
        for kind in exact
    }
    pairs = list(zip(exact["without"], exact["with"], strict=True))
    won = sum(after and not before for before, after in pairs)
    lost = sum(before and not after for before, after in pairs)
    print(json.dumps(figures | {"won": won, "lost": lost}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
