"""Which files Umbrella keeps out of: told from their names, the settings and ignore files.

A file that is kept out gets no completion and is read for no other file. Ignore files are those of
git, `.gitignore` in each folder of its repository, and `.umbrellaignore` in any folder above the
file, which has the last word, so that `!pattern` in it brings a file back. Promises: what it reads
are ignore files only. Knows no documents and no daemon.
"""

import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
from pathspec import GitIgnoreSpec

from umbrella_daemon.secrets import may_hold_secrets
from umbrella_daemon.settings import CompletionSettings
from umbrella_daemon.wire import Reason

GIT: Final = ".gitignore"
OWN: Final = ".umbrellaignore"
VERDICT_SECONDS: Final = 1.0
_MAX_BYTES: Final = 1_000_000  # of an ignore file; more is not read
_REMEMBERED: Final = 256  # ignore files


class Refusal(msgspec.Struct, frozen=True):
    """Why a file is kept out: a value of `Reason` and a sentence for a person."""

    reason: str
    detail: str


def refusal(path: str, language: str, settings: CompletionSettings) -> Refusal | None:
    """Say why the file at `path` is kept out, None where it is not.

    `path` may also be the name of a document that is no file.
    """
    if language in settings.disabled_languages:
        detail = f"{language} is in completion.disabled_languages"
        return Refusal(Reason.DISABLED, detail)
    names = {path, os.path.realpath(path)} if path.startswith(os.sep) else {path}
    if any(map(may_hold_secrets, names)):
        return Refusal(Reason.EXCLUDED, f"{path} may hold secrets, it is never read")
    for name in names:
        found = _match(tuple(_valid(settings.disabled_globs)), name.lstrip("/"))
        if found and found[0]:
            detail = f"{path} fits {found[1]!r} in completion.disabled_globs"
            return Refusal(Reason.IGNORED, detail)
    if path.startswith(os.sep) and (where := _ignored(Path(path), git=settings.gitignore)):
        return Refusal(Reason.IGNORED, f"{path} is ignored by {where}")
    return None


class Scope:
    """What `refusal` says under given settings, looked up anew after a second."""

    def __init__(self, settings: CompletionSettings) -> None:
        self._settings = settings
        self._known: dict[tuple[str, str], tuple[float, Refusal | None]] = {}

    def refusal(self, path: str, language: str) -> Refusal | None:
        """Say why the file at `path` is kept out, None where it is not."""
        now = time.monotonic()
        looked_at, found = self._known.get((path, language), (-math.inf, None))
        if now - looked_at > VERDICT_SECONDS:
            found = refusal(path, language, self._settings)
            self._known.pop((path, language), None)
            self._known[path, language] = now, found
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        return found


def repository(path: Path) -> Path | None:
    """Give the nearest folder above `path` that git keeps, None where there is none."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


def in_folders(path: str, folders: Iterable[str]) -> bool:
    """Say whether the file at `path` lies below one of `folders`."""
    places = (Path(folder).expanduser() for folder in folders)
    return any(Path(path).is_relative_to(place) for place in places)


def _ignored(path: Path, *, git: bool) -> str:
    """Give the line of an ignore file that decides against `path`, "" where none does."""
    root = repository(path) if git else None
    verdict = ""
    for folder, name in _ignore_files(path, root):
        found = _match(_lines(folder / name), path.relative_to(folder).as_posix())
        if found:
            verdict = f"{folder / name} ({found[1]})" if found[0] else ""
    return verdict


def _ignore_files(path: Path, root: Path | None) -> Iterator[tuple[Path, str]]:
    """Give the ignore files that may speak of `path`, those that have the last word last."""
    folders = list(reversed(path.parents))
    if root is not None:
        yield from ((folder, GIT) for folder in folders[folders.index(root) :])
    yield from ((folder, OWN) for folder in folders)


def _lines(path: Path) -> tuple[str, ...]:
    try:
        state = path.stat()
    except OSError:
        return ()
    if state.st_size > _MAX_BYTES:
        return ()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=_REMEMBERED)
def _read(path: Path, mtime_ns: int, size: int) -> tuple[str, ...]:
    """Give the patterns of an ignore file as it was at that time."""
    try:
        return tuple(_valid(path.read_text("utf-8", errors="replace").splitlines()))
    except OSError:
        return ()


def _valid(lines: Iterable[str]) -> Iterator[str]:
    """Give the lines that are patterns; those that git would not understand are passed over."""
    for line in lines:
        with suppress(ValueError):
            if line.strip() and not line.startswith("#") and GitIgnoreSpec.from_lines([line]):
                yield line


@lru_cache(maxsize=_REMEMBERED)
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns)


def _match(patterns: tuple[str, ...], name: str) -> tuple[bool, str] | None:
    """Give whether the last pattern that fits `name` is against it, and that pattern."""
    if not patterns:
        return None
    found = _compiled(patterns).check_file(name)
    if found.include is None or found.index is None:
        return None
    return found.include, patterns[found.index]
