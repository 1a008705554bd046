"""Languages that code is learned in: how their files are named, and the lines of their syntax."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Final

from tree_sitter import Language, Node, Parser

SUFFIXES: Final = {
    ".py": "python", ".pyi": "python",
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".tsx": "tsx",
    ".go": "go", ".rs": "rust", ".java": "java", ".lua": "lua",
    ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hpp": "cpp", ".hh": "cpp",
    ".sh": "shell", ".bash": "shell", ".zsh": "shell",
}  # fmt: skip
# module of a grammar and its function
_GRAMMARS: Final = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "shell": ("tree_sitter_bash", "language"),
}
MOST_ROWS: Final = 8  # lines of a hole


@dataclass(frozen=True, slots=True)
class Region:
    """Whole lines that belong together, `first` … `last`, both included."""

    kind: str  # "statement" or "block"; a block is what stands below the line that opens it
    first: int
    last: int


def language_of(path: str) -> str:
    """Name the language of a file, "" where it is none that is learned."""
    return SUFFIXES.get(PurePath(path).suffix.lower(), "")


def regions(text: str, language: str) -> list[Region]:
    """Find statements of several lines and bodies of blocks; none without a grammar."""
    parser = _parser(language)
    if parser is None:
        return []
    lines = text.encode().split(b"\n")
    found = {
        region
        for node in _named(parser.parse(text.encode()).root_node)
        for region in _regions_of(node, lines)
        if region.last - region.first < MOST_ROWS
    }
    return sorted(found, key=lambda one: (one.first, one.last, one.kind))


@cache
def _parser(language: str) -> Parser | None:
    if language not in _GRAMMARS:
        return None
    module, function = _GRAMMARS[language]
    try:
        return Parser(Language(getattr(importlib.import_module(module), function)()))
    except (ImportError, ValueError):  # not installed, or made for another release of tree-sitter
        return None


def _named(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.named_children


def _regions_of(node: Node, lines: list[bytes]) -> Iterator[Region]:
    """Give the node as a statement if it fills its lines, and its body as a block."""
    (first, column), (last, end) = node.start_point, node.end_point
    fills = not lines[first][:column].strip() and not lines[last][end:].strip(b" \t;,")
    if last > first and fills and node.parent is not None:
        yield Region("statement", first, last)
    if not any(word in node.type for word in ("block", "body", "compound", "suite")):
        return
    opener = first if lines[first][:column].strip() else first - 1
    closes = lines[last][:end].strip() in (b"}", b"end", b"]", b")", b"};")
    inner_last = last - 1 if closes else last
    if opener >= 0 and inner_last > opener:
        yield Region("block", opener + 1, inner_last)
