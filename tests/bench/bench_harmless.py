"""Do no harm: text that really stood in a hole is shown byte for byte.

Usage: python -m tests.bench.bench_harmless FOLDER ... [--each 600]

Cuts holes from the source files of each folder and gives what stood there to the daemon's rules as
if a model had written it. Prints each hole that comes out otherwise and counts by language; the
last line is JSON, the exit status says whether 99 % are unchanged.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from umbrella_daemon.bench.holes import from_folder
from umbrella_daemon.resident.postprocess import Shown, settle
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Complete


def main() -> int:
    """Run over all folders."""
    parser = argparse.ArgumentParser(description="Text that is right stays.")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--each", type=int, default=600)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    holes: Counter[str] = Counter()
    unchanged: Counter[str] = Counter()
    max_lines = CompletionSettings().max_lines
    for folder in options.folders:
        for hole in from_folder(folder, options.each, options.seed):
            request = Complete(1, "d", 1, hole.language, hole.source, hole.prefix, hole.suffix)
            outcome = settle(request, hole.truth, max_lines)
            holes[hole.language] += 1
            if outcome == Shown(hole.truth, 0):
                unchanged[hole.language] += 1
            else:
                print(f"{hole.source} ({hole.kind}): {hole.truth!r} became {outcome}")
    counts = {name: [unchanged[name], holes[name]] for name in sorted(holes)}
    print(json.dumps({"unchanged": unchanged.total(), "holes": holes.total(), **counts}))
    return 0 if unchanged.total() >= 0.99 * holes.total() else 1


if __name__ == "__main__":
    sys.exit(main())
