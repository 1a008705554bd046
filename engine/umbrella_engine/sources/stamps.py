"""Whether files on disk are still what was once checked: size, time and SHA-256 in a stamp.

The stamp of `x` is `x.stamp.json` beside it, where `x` is a file or a folder. A file whose size and
modification time agree with its stamp is trusted; one that differs is hashed again, so that a copy
or a `touch` costs time and nothing else. Knows nothing of what the files mean.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from umbrella_engine.sources.disk import replace_file

FORMAT: Final = 1


class FileStamp(msgspec.Struct, frozen=True):
    """One file as it was when it was good."""

    size: int  # bytes
    mtime_ns: int
    sha256: str


class Stamp(msgspec.Struct, frozen=True):
    """An artefact as it was when it was good."""

    format: int
    recipe: str  # how it was made; another recipe makes it stale
    files: dict[str, FileStamp]  # by path relative to the artefact's parent
    origin: FileStamp | None = None  # the file it was converted from


def stamp_path(artefact: Path) -> Path:
    """Give the place of an artefact's stamp."""
    return artefact.with_name(artefact.name + ".stamp.json")


def sha256_of(path: Path) -> str:
    """Hash a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp_file(path: Path, sha256: str = "") -> FileStamp:
    """Describe a file as it is now; its hash is computed unless it is known."""
    found = path.stat()
    return FileStamp(found.st_size, found.st_mtime_ns, sha256 or sha256_of(path))


def write_stamp(
    artefact: Path,
    recipe: str,
    *,
    origin: FileStamp | None = None,
    hashes: Mapping[str, str] = MappingProxyType({}),
) -> Stamp:
    """Vouch for everything in the artefact as it is now; `hashes` are known ones by file name."""
    inside = artefact.rglob("*") if artefact.is_dir() else [artefact]
    files = {
        path.relative_to(artefact.parent).as_posix(): stamp_file(path, hashes.get(path.name, ""))
        for path in inside
        if path.is_file()
    }
    stamp = Stamp(FORMAT, recipe, files, origin)
    _save(artefact, stamp)
    return stamp


def read_stamp(artefact: Path) -> Stamp | None:
    """Give the artefact's stamp, None where there is none that this version wrote."""
    try:
        stamp = msgspec.json.decode(stamp_path(artefact).read_bytes(), type=Stamp)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return stamp if stamp.format == FORMAT else None


def problem(artefact: Path, recipe: str) -> str:
    """Say what is wrong with an artefact; "" where it is as it was when it was stamped."""
    stamp = read_stamp(artefact)
    if stamp is None or stamp.recipe != recipe:
        return "was not finished, or made by another version"
    fresh = {}
    for name, known in stamp.files.items():
        path = artefact.parent / name
        if not path.is_file():
            return f"lacks {path.name}"
        fresh[name] = unchanged(path, known)
        if fresh[name] is None:
            return f"has a damaged file, {path.name}"
    if fresh != stamp.files:  # same content, new times: spare the next start the hashing
        _save(artefact, msgspec.structs.replace(stamp, files=fresh))
    return ""


def renew_origin(artefact: Path, origin: FileStamp) -> None:
    """Note that the origin's content is the same, but not its time."""
    stamp = read_stamp(artefact)
    if stamp is not None and stamp.origin != origin:
        _save(artefact, msgspec.structs.replace(stamp, origin=origin))


def unchanged(path: Path, known: FileStamp) -> FileStamp | None:
    """Give an existing file's stamp as of now; None where its content is not the known one."""
    found = path.stat()
    if found.st_size != known.size:
        return None
    if found.st_mtime_ns == known.mtime_ns:
        return known
    now = stamp_file(path)
    return now if now.sha256 == known.sha256 else None


def _save(artefact: Path, stamp: Stamp) -> None:
    replace_file(stamp_path(artefact), msgspec.json.encode(stamp))
