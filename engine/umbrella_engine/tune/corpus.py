"""Holes cut into source files: prompts as an editor would send them, in token ids.

In every third the last tokens before the hole are the beginning of what stands a little above: code
is often written by repeating code, and drafts are judged by both kinds.
Cuts lie between tokens of the whole text, so no prompt ends in ids that the model has never seen
there. The same folder, tokenizer and seed give the same holes. Reads files, knows no model.
"""

import os
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from umbrella_engine.errors import EngineError
from umbrella_engine.interface import Tokenizer

SOURCE_SUFFIXES: Final = frozenset({
    ".c", ".cc", ".cpp", ".cs", ".go", ".h", ".hpp", ".java", ".js", ".jsx", ".kt", ".lua", ".php",
    ".py", ".rb", ".rs", ".scala", ".sh", ".swift", ".ts", ".tsx",
})  # fmt: skip
SKIPPED_FOLDERS: Final = frozenset({"node_modules", "site-packages", "test", "tests", "venv"})
FILE_BYTES: Final = range(4_000, 400_000)
WINDOW_CHARACTERS: Final = 8_000
PREFIX_TOKENS: Final = 384
SUFFIX_TOKENS: Final = 128
GAP_TOKENS: Final = 40  # cut out between the two
REPEATED_EVERY: Final = 3
REPEATED_FROM: Final = 96  # tokens before the hole
REPEATED_TOKENS: Final = 16
MAX_FILES: Final = 20_000  # looked at in a folder


def default_folder() -> Path:
    """Give the folder of Python's standard library."""
    return Path(sysconfig.get_paths()["stdlib"])


def holes(folder: Path, tokenizer: Tokenizer, seed: int = 11) -> Iterator[list[int]]:
    """Give prompts from the files below `folder`, in random order, one a file.

    Raises EngineError where there is no source file.
    """
    rng = random.Random(seed)
    files = _source_files(folder)
    if not files:
        raise EngineError(
            f"{folder} holds no source file of {FILE_BYTES.start // 1000} kB to "
            f"{FILE_BYTES.stop // 1000} kB to measure on; name another folder"
        )
    rng.shuffle(files)
    for number, path in enumerate(files):
        text = path.read_text("utf-8", errors="replace").replace("\r\n", "\n")
        start = text.find("\n", rng.randrange(max(1, len(text) - WINDOW_CHARACTERS))) + 1
        ids = tokenizer.encode(text[start : start + WINDOW_CHARACTERS])
        if len(ids) > 4 * REPEATED_FROM:
            cut = rng.randrange(len(ids) // 3, len(ids) * 3 // 4)
            again = ids[cut - REPEATED_FROM :][:REPEATED_TOKENS]
            repeated = number % REPEATED_EVERY == REPEATED_EVERY - 1
            yield _prompt(ids, cut, again if repeated else [], tokenizer)


def _prompt(ids: list[int], cut: int, again: list[int], tokenizer: Tokenizer) -> list[int]:
    """Lay out the tokens before `cut`, `again`, and after a gap the rest if the vocabulary can."""
    start = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    before = [*ids[max(0, cut - PREFIX_TOKENS) : cut], *again]
    fim = tokenizer.fim
    if fim is None:
        return [*start, *before]
    after = ids[cut + GAP_TOKENS :][:SUFFIX_TOKENS]
    return [*start, fim.prefix, *before, fim.suffix, *after, fim.middle]


def _source_files(folder: Path) -> list[Path]:
    found: list[Path] = []
    seen = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            one for one in folders if one not in SKIPPED_FOLDERS and not one.startswith(".")
        )
        seen += len(names)
        paths = (Path(parent, name) for name in sorted(names))
        sources = (path for path in paths if path.suffix in SOURCE_SUFFIXES)
        found += [path for path in sources if path.stat().st_size in FILE_BYTES]
        if seen > MAX_FILES:
            break
    return found
