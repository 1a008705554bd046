"""Holes for measuring quality: places in real code, and what stood there.

From HumanEval's single-line infilling (a JSON-lines file, gzipped or not) and from the source files
of a folder. A hole is known by its kind: `line` a whole line, `line-end` the rest of a line from a
word's start, `mid-word` from within a word, `statement` a line whose first word is typed, `block`
the body below a line that opens one. The same seed cuts the same holes.
"""

import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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


def humaneval(path: Path, count: int, seed: int = 11) -> list[Hole]:
    """Take evenly spread items: each as a whole line, and cut at a random column within it."""
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    items = [json.loads(line) for line in text.splitlines()]
    rng = random.Random(seed)
    holes = []
    for item in items[:: max(1, len(items) // max(1, count))][:count]:
        line, suffix = item["canonical_solution"].rstrip("\n"), "\n" + item["suffix"]
        name = item["task_id"]
        holes.append(Hole(name, "python", "line", item["prompt"], suffix, line))
        if len(line.strip()) < 3:
            continue
        start = len(line) - len(line.lstrip())
        column = rng.randrange(start + 1, len(line))
        inside = re.match(r"\w\w", line[column - 1 :])
        kind = "mid-word" if inside else "line-end"
        prefix = item["prompt"] + line[:column]
        holes.append(Hole(name, "python", kind, prefix, suffix, line[column:]))
    return holes


def from_folder(folder: Path, count: int, seed: int = 11) -> list[Hole]:
    """Cut `count` holes of all kinds, in turn, from the source files below a folder."""
    rng = random.Random(seed)
    files = sorted(
        path for path in folder.rglob("*") if path.suffix in LANGUAGES and path.is_file()
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
