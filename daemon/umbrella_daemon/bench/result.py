"""A measurement as a file: JSON that says what was measured, with what, and what came out.

Knows nothing of how anything is measured or shown.
"""

from pathlib import Path
from typing import Final

import msgspec

from umbrella_daemon.bench.stamp import Stamp
from umbrella_engine.errors import EngineError

FORMAT: Final = 1
Figure = float | int | str | None


class BenchError(EngineError):
    """A benchmark cannot be run or its result not be kept; says what to do."""


class Subject(msgspec.Struct, frozen=True):
    """The pair and how it was run."""

    pair: str
    target: str
    draft: str  # "" without one
    device: str
    dtype: str


class Result(msgspec.Struct, frozen=True):
    """One run of one benchmark."""

    bench: str  # "code", "mtbench", "keystrokes", "peers", "device"
    stamp: Stamp
    subject: Subject
    command: str  # what to type to have it again
    rows: tuple[dict[str, Figure], ...]  # a way of doing it each; `name` names it
    # what pictures are drawn from, by row and by what it is
    series: dict[str, dict[str, list[float]]] = {}
    notes: tuple[str, ...] = ()  # what a reader must know to be fair
    format: int = FORMAT

    def row(self, name: str) -> dict[str, Figure]:
        """Give the row of that name. Raises KeyError."""
        for row in self.rows:
            if row["name"] == name:
                return row
        raise KeyError(name)


def write(result: Result, path: Path) -> None:
    """Keep a result. Raises BenchError, which holds all of it, where it cannot be written."""
    text = msgspec.json.format(msgspec.json.encode(result)) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    except OSError as error:
        raise BenchError(
            f"{path} cannot be written ({error.strerror}); the figures are in the line of JSON "
            "printed before this"
        ) from None


def read(path: Path) -> Result:
    """Read a result. Raises BenchError where it is none."""
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BenchError(
            f"{path} is no result of `umbrella bench` ({error}); files that --out wrote are"
        ) from None
    if result.format != FORMAT:
        raise BenchError(
            f"{path} is of format {result.format}, this release reads {FORMAT}; measure again"
        )
    return result
