"""What a language's grammar says about the end of a text, asked where line shapes cannot tell.

Promises: two questions, answered for any text however broken: does it end inside a string or a
comment, and does its last line open a block. Grammars are tree-sitter's, one small wheel a
language; a language without one gets the answers of `NoGrammar`. Knows no cursor and no model.
"""

import importlib
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final, Protocol

from tree_sitter import Language, Node, Parser

_WINDOW: Final = 16_000  # characters read before the end; parsing them takes 2 to 4 ms
_REMEMBERED: Final = 256  # texts; an answer asks for the same few at every step
_PROBE: Final = "x"  # put behind the text: what it becomes tells where the text ends
_QUOTES: Final = ('"""', "'''", '"', "'", "`", "*/")
_OPENING: Final = {"*/": "/*"}

# LSP language id: module of the grammar and its function
_GRAMMARS: Final = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "javascriptreact": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "typescriptreact": ("tree_sitter_typescript", "language_tsx"),
    "rust": ("tree_sitter_rust", "language"),
    "go": ("tree_sitter_go", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "csharp": ("tree_sitter_c_sharp", "language"),
    "java": ("tree_sitter_java", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "shellscript": ("tree_sitter_bash", "language"),
}


class Grammar(Protocol):
    """What can be asked of a language."""

    def in_text(self, before: str) -> bool:
        """Tell whether `before` ends inside a string or a comment."""
        ...

    def colon_opens(self, before: str) -> bool:
        """Tell whether the colon at the end of `before` opens a block."""
        ...


class NoGrammar:
    """Answers for a language without a grammar: line shapes decide alone."""

    def in_text(self, before: str) -> bool:
        """Tell of no text that it ends inside a string or a comment."""
        return False

    def colon_opens(self, before: str) -> bool:
        """Take every colon at the end of a line for one that opens a block."""
        return True


class TreeSitter:
    """Answers from a tree-sitter grammar."""

    def __init__(self, language: Language, *, blocks_by_colon: bool) -> None:
        self._parser = Parser(language)
        self._blocks_by_colon = blocks_by_colon
        self._in_text = lru_cache(_REMEMBERED)(self._find_in_text)
        self._opens = lru_cache(_REMEMBERED)(self._find_block)

    def in_text(self, before: str) -> bool:
        """Tell whether `before` ends inside a string or a comment."""
        return self._in_text(_window(before))

    def colon_opens(self, before: str) -> bool:
        """Tell whether the colon at the end of `before` opens a block."""
        return not self._blocks_by_colon or self._opens(_window(before).rstrip())

    def _find_in_text(self, text: str) -> bool:
        """Parse `text` as if each kind of string or comment in it were still open.

        A parser recovers from an open string as if it had not begun; closed by us, the probe lies
        in it when it was open, and outside when it was not.
        """
        closings = [one for one in _QUOTES if _OPENING.get(one, one) in text]
        return any(self._probe_is_text(text, closing) for closing in ("", *closings))

    def _probe_is_text(self, text: str, closing: str) -> bool:
        start = len(text.encode())
        tree = self._parser.parse(f"{text}{_PROBE}{closing}".encode())
        node = tree.root_node.descendant_for_byte_range(start, start + len(_PROBE))
        kinds = [one.type for one in (node, node and node.parent) if one is not None]
        return any("string" in kind or "comment" in kind for kind in kinds)

    def _find_block(self, text: str) -> bool:
        """Tell whether the last thing in the tree is a block that has only begun."""
        return any(
            node.type == "block" for node in _rightmost(self._parser.parse(text.encode()).root_node)
        )


def _rightmost(node: Node) -> Iterator[Node]:
    while node.children:
        node = node.children[-1]
        if not node.children:
            yield node


@cache
def grammar_of(language: str) -> Grammar:
    """Give the grammar of an LSP language id; `NoGrammar` where there is none to be had."""
    if language not in _GRAMMARS:
        return NoGrammar()
    module, function = _GRAMMARS[language]
    try:
        pointer = getattr(importlib.import_module(module), function)()
        return TreeSitter(Language(pointer), blocks_by_colon=language == "python")
    except (ImportError, ValueError):  # not installed, or made for another release of tree-sitter
        return NoGrammar()


def _window(text: str) -> str:
    """Give the end of `text`, from the start of a line on."""
    if len(text) <= _WINDOW:
        return text
    tail = text[-_WINDOW:]
    return tail[tail.find("\n") + 1 :]
