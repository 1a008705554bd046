"""Files that a document imports from, found next to it or in its repository.

Only where a look at a few paths finds them: relative imports, and absolute ones of Python below the
repository or its `src`. Reads files, so it is not for the event loop's thread; who calls it decides
whether what it gives may be used.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from umbrella_daemon.scope import repository
from umbrella_daemon.wire import Complete

MAX_FILES: Final = 8
MAX_BYTES: Final = 100_000  # of a file

_PYTHON: Final = re.compile(r"^\s*from\s+(\.*)([\w.]*)\s+import\b", re.MULTILINE)
_SCRIPT: Final = re.compile(r"""^\s*import\b[^'"\n]*['"](\.{1,2}/[^'"\n]+)['"]""", re.MULTILINE)
_ENDINGS: Final = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", "/index.ts", "/index.js")


def imported_files(request: Complete, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Give paths and texts of files from which the document imports any of `names`."""
    path = Path(request.path)
    if not names or not path.is_absolute():
        return
    places = _python(path, request.prefix) if path.suffix in (".py", ".pyi") else None
    places = places or _script(path, request.prefix)
    found = 0
    for place in places:
        text = _read(place)
        if text is not None:
            yield str(place), text
            found += 1
        if found == MAX_FILES:
            return


def _python(path: Path, text: str) -> list[Path]:
    places = []
    for dots, name in dict.fromkeys(_PYTHON.findall(text)):
        parts = [part for part in name.split(".") if part]
        if dots:
            bases = [path.parents[len(dots) - 1]] if len(dots) <= len(path.parents) else []
        else:
            root = repository(path)
            bases = [root, root / "src"] if root else []
        for base in bases:
            module = base.joinpath(*parts)
            places += [module.with_name(module.name + ".py"), module / "__init__.py"]
    return places


def _script(path: Path, text: str) -> list[Path]:
    return [
        path.parent / f"{name}{ending}"
        for name in dict.fromkeys(_SCRIPT.findall(text))
        for ending in _ENDINGS
    ]


def _read(path: Path) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
