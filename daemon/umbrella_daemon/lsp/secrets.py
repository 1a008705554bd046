"""Which files may hold secrets, told from their names alone: nothing of them is ever read."""

import re
from fnmatch import translate
from pathlib import PurePath
from typing import Final

# patterns of lower-case file names
NAMES: Final = (
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.gpg",
    "*.ovpn",
    "*.tfvars",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "credentials",
    "secrets",
    *(f"{name}.{kind}" for name in ("credentials", "secrets") for kind in ("json", "toml", "ini")),
    *(f"{name}.y*ml" for name in ("credentials", "secrets")),
    ".netrc",
    "_netrc",
    ".pgpass",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    ".git-credentials",
)
FOLDERS: Final = frozenset({".ssh", ".gnupg", ".aws", ".kube"})
# a public half or an example holds none
HARMLESS: Final = ("*.pub", ".env.example", ".env.sample", ".env.template", ".env.dist")


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


_names, _harmless = _any_of(NAMES), _any_of(HARMLESS)


def may_hold_secrets(path: str) -> bool:
    """Say whether the file at `path` looks like one with keys, tokens or passwords."""
    pure = PurePath(path.lower())
    if _harmless.match(pure.name):
        return False
    return bool(_names.match(pure.name)) or not FOLDERS.isdisjoint(pure.parts)
