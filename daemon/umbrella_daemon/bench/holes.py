"""Holes in real code: places, and what stood there.

From a file in the form of HumanEval's infilling sets (JSON lines, gzipped or not) and from the
source files of a folder. A hole is known by its kind: `given` as the file has it, `line` a whole
line, `line-end` the rest of a line from a word's start, `mid-word` from within a word, `statement`
a line whose first word is typed, `block` the body below a line that opens one. The same seed cuts
the same holes.
"""

import gzip
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from umbrella_daemon.bench.result import BenchError
from umbrella_engine.tune.corpus import SKIPPED_FOLDERS

T = TypeVar("T", bound=msgspec.Struct)

LANGUAGES: Final = {
    ".py": "python", ".js": "javascript", ".ts": "typescript", ".tsx": "typescriptreact",
    ".rs": "rust", ".go": "go", ".c": "c", ".h": "c", ".cpp": "cpp", ".hpp": "cpp", ".cc": "cpp",
    ".java": "java", ".rb": "ruby", ".php": "php", ".lua": "lua", ".cs": "csharp",
}  # fmt: skip
KINDS: Final = ("line-end", "mid-word", "statement", "block")
MOST_BLOCK_LINES: Final = 6
_WORD: Final = re.compile(r"[A-Za-z_]\w{3,}")


@dataclass(frozen=True, slots=True)
class Hole:
    """A place and what stood there; `suffix` begins behind it."""

    source: str  # file, for reports
    language: str
    kind: str
    prefix: str
    suffix: str
    truth: str


class Item(msgspec.Struct, frozen=True):
    """A line of a file of holes, as HumanEval's infilling sets spell it; more fields may stand."""

    prompt: str
    suffix: str
    canonical_solution: str
    task_id: str = ""


def given(path: Path, count: int) -> list[Hole]:
    """Take evenly spread holes as a file has them. Raises BenchError where it has none."""
    return [
        Hole(
            source=item.task_id or f"{path.name}:{number}",
            language="python",
            kind="given",
            prefix=item.prompt,
            suffix=item.suffix,
            truth=item.canonical_solution,
        )
        for number, item in enumerate(_items(path, count))
    ]


def _items(path: Path, count: int) -> list[Item]:
    """Read at most `count` items, evenly spread over the file."""
    items = json_lines(path, Item)
    return items[:: max(1, len(items) // max(1, count))][:count]


def json_lines(path: Path, kind: type[T]) -> list[T]:
    """Read a file of JSON lines, gzipped or not. Raises BenchError that says what is wrong."""
    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        found = msgspec.json.Decoder(kind).decode_lines(text)
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error}") from None
    except msgspec.DecodeError as error:
        fields = ", ".join(msgspec.structs.fields(kind)[n].name for n in range(_required(kind)))
        raise BenchError(f"{path}: {error}; each line is a JSON object with {fields}") from None
    if not found:
        raise BenchError(f"{path} is empty; it takes a line of JSON for each item")
    return found


def _required(kind: type[msgspec.Struct]) -> int:
    return sum(one.required for one in msgspec.structs.fields(kind))


def humaneval(path: Path, count: int, seed: int = 11) -> list[Hole]:
    """Take evenly spread items: each as a whole line, and cut at a random column within it."""
    rng = random.Random(seed)
    holes = []
    for item in _items(path, count):
        line, suffix = item.canonical_solution.rstrip("\n"), "\n" + item.suffix
        name = item.task_id
        holes.append(Hole(name, "python", "line", item.prompt, suffix, line))
        if len(line.strip()) < 3:
            continue
        start = len(line) - len(line.lstrip())
        column = rng.randrange(start + 1, len(line))
        inside = re.match(r"\w\w", line[column - 1 :])
        kind = "mid-word" if inside else "line-end"
        prefix = item.prompt + line[:column]
        holes.append(Hole(name, "python", kind, prefix, suffix, line[column:]))
    return holes


def from_folder(folder: Path, count: int, seed: int = 11) -> list[Hole]:
    """Cut `count` holes of all kinds, in turn, from the source files below a folder.

    Installed packages, caches and what begins with a dot are passed over.
    """
    rng = random.Random(seed)
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in LANGUAGES and path.is_file() and not _skipped(path.relative_to(folder))
    )
    holes: list[Hole] = []
    attempts = 0
    while files and len(holes) < count and attempts < 50 * count:
        attempts += 1
        path = rng.choice(files)
        text = path.read_text("utf-8", "ignore").replace("\r\n", "\n")
        if not 500 < len(text) < 200_000:
            continue
        hole = _cut(text, KINDS[len(holes) % len(KINDS)], path, rng)
        if hole is not None:
            holes.append(hole)
    return holes


def _skipped(path: Path) -> bool:
    return any(part in SKIPPED_FOLDERS or part.startswith(".") for part in path.parts)


def _cut(text: str, kind: str, path: Path, rng: random.Random) -> Hole | None:
    lines = text.split("\n")
    rows = [row for row in range(8, len(lines) - 2) if _fit(lines, row, kind)]
    if not rows:
        return None
    row = rng.choice(rows)
    column, end = _place(lines, row, kind, rng)
    before = "\n".join([*lines[:row], lines[row][:column]])
    whole = "\n".join([lines[row][column:], *lines[row + 1 : end]])
    after = "\n" + "\n".join(lines[end:])
    return Hole(path.name, LANGUAGES[path.suffix], kind, before, after, whole.rstrip())


def _fit(lines: list[str], row: int, kind: str) -> bool:
    line = lines[row]
    if kind == "block":
        return 1 <= _block_end(lines, row) - row - 1 <= MOST_BLOCK_LINES
    return 12 < len(line.strip()) < 100 and len(_WORD.findall(line)) > 1


def _block_end(lines: list[str], row: int) -> int:
    """Row after the block below `row`, `row` + 1 where it opens none."""
    line = lines[row]
    if not re.search(r"[:{]\s*\Z", line):
        return row + 1
    level = len(line) - len(line.lstrip())
    end = row + 1
    while end < len(lines) and lines[end].strip():
        if len(lines[end]) - len(lines[end].lstrip()) <= level:
            break
        end += 1
    return end


def _place(lines: list[str], row: int, kind: str, rng: random.Random) -> tuple[int, int]:
    """Column where the hole begins and row after the one where it ends."""
    line = lines[row]
    if kind == "block":
        return len(line), _block_end(lines, row)
    words = [(found.start(), found.end()) for found in _WORD.finditer(line)]
    if kind == "statement":
        return words[0][1], row + 1
    start, end = rng.choice(words[1:])
    return (start if kind == "line-end" else rng.randrange(start + 1, end)), row + 1


def languages(holes: list[Hole]) -> Iterator[tuple[str, int]]:
    """Count holes by language."""
    for name in sorted({hole.language for hole in holes}):
        yield name, sum(hole.language == name for hole in holes)
