"""Whether code may be learned from and shipped: what its own files say of their licence.

Reads licence files and package metadata at the top of a repository. Knows the permissive licences
by name; everything else, and a repository that says nothing, is not permissive.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FILES: Final = re.compile(r"(?i)(?:un)?licen[cs]e|copying|copyright")
_BYTES: Final = 20_000
# in this order: the first that fits names the text
_TEXTS: Final = (
    ("AGPL", r"affero general public license"),
    ("LGPL", r"lesser general public license|library general public license"),
    ("GPL", r"gnu general public license"),
    ("MPL", r"mozilla public license"),
    ("EPL", r"eclipse public license"),
    ("CDDL", r"common development and distribution license"),
    ("Apache-2.0", r"apache license,?\s+version 2|apache\.org/licenses/license-2\.0"),
    ("BSL-1.0", r"boost software license"),
    ("Unlicense", r"unlicense|released into the public domain"),
    ("MIT", r"permission is hereby granted, free of charge|\bmit license"),
    ("ISC", r"permission to use, copy, modify, and(?:/or)? distribute this software"),
    ("BSD", r"redistribution and use in source and binary forms"),
    ("Zlib", r"provided 'as-is', without any express or implied"),
    ("PSF", r"python software foundation license"),
)
_NAMES: Final = re.compile(
    r"(?i)\b(MIT|ISC|BSD(?:-\d)?|Apache|Zlib|Unlicense|0BSD|BSL-1|PSF|HPND|CC0|public domain"
    r"|A?L?GPL|MPL|EPL|CDDL)\b"
)
PERMISSIVE: Final = frozenset({
    "MIT", "ISC", "BSD", "Apache-2.0", "Zlib", "Unlicense", "0BSD", "BSL-1.0", "PSF", "HPND", "CC0",
    "public domain",
})  # fmt: skip
_LONG: Final = {
    "apache": "Apache-2.0",
    "bsl-1": "BSL-1.0",
    "zlib": "Zlib",
    "unlicense": "Unlicense",
}


def licence_of(repository: Path) -> str:
    """Name the licence of a repository by what stands at its top: "MIT", "GPL"; "" if unsaid.

    Metadata that offers a choice ("MIT OR GPL") counts as the permissive one of them; of several
    licence files the least permissive counts.
    """
    for expression in _metadata(repository):
        named = _from_expression(expression)
        if named:
            return named
    found = [name for name in map(_from_text, _licence_files(repository)) if name]
    return next((name for name in found if name not in PERMISSIVE), found[0] if found else "")


def _metadata(repository: Path) -> Iterator[str]:
    """Give what package metadata says in its licence fields."""
    for path in sorted(repository.glob("*.dist-info/METADATA")):
        head = path.read_text("utf-8", "replace").split("\n\n")[0]
        yield from re.findall(r"(?m)^License-Expression: (.+)$", head)
        yield from re.findall(r"(?m)^Classifier: License :: (?:OSI Approved :: )?(.+)$", head)
        yield from re.findall(r"(?m)^License: (.{1,60})$", head)
    package = repository / "package.json"
    if package.is_file():
        licence = json.loads(package.read_text("utf-8", "replace")).get("license", "")
        yield licence if isinstance(licence, str) else str(licence.get("type", ""))
    cargo = repository / "Cargo.toml"
    if cargo.is_file():
        try:
            yield str(tomllib.loads(cargo.read_text("utf-8"))["package"]["license"])
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError):
            return


def _licence_files(repository: Path) -> Iterator[str]:
    places = [repository, *repository.glob("*.dist-info"), *repository.glob("*.dist-info/licenses")]
    for place in places:
        for path in sorted(place.iterdir()):
            if path.is_file() and _FILES.match(path.name):
                with path.open("rb") as file:
                    yield file.read(_BYTES).decode("utf-8", "replace")


def _from_expression(text: str) -> str:
    found: list[str] = _NAMES.findall(text)
    names = [_LONG.get(name.lower(), name) for name in found]
    names = ["BSD" if name.upper().startswith("BSD") else name for name in names]
    permissive = [name for name in names if name in PERMISSIVE]
    if " and " in text.lower() and len(permissive) < len(names):
        return next(name for name in names if name not in PERMISSIVE)
    return permissive[0] if permissive else (names[0] if names else "")


def _from_text(text: str) -> str:
    flat = re.sub(r"\s+", " ", text.lower())
    return next((name for name, pattern in _TEXTS if re.search(pattern, flat)), "")
