"""Whether a piece of text holds a key, a token or a password, told from how it looks.

Looks for the marks that services put on their tokens, for values given to names like `password`,
and for long runs of characters that are too random to be names. Errs towards saying yes: it is
asked about text of other files, which can be left out at little cost.
"""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Final

_MARKED: Final = re.compile(
    r"-----BEGIN [A-Z ]*(?:PRIVATE KEY|CERTIFICATE)|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bxox[abeprs]-[\w-]{10,}"
    r"|\b[sr]k_(?:live|test)_\w{10,}|\bsk-[\w-]{20,}|\bAIza[\w-]{30,}|\bhf_\w{20,}"
    r"|\bnpm_\w{30,}|\bpypi-[\w-]{40,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.|\bSG\.[\w-]{16,}\.[\w-]{16,}"
    r"|://[^/\s:@\"']+:[^/\s:@\"']{3,}@"
)
_NAMED: Final = re.compile(
    r"""(?ix) (?:password|passwd|passphrase|secret|api_?key|access_?key|auth_?token|private_?key)
    \w* ["']? \s* (?:=|:|=>) \s* (["']) (?!\s) (?P<value>[^"'\n]{6,}?) \1"""
)
_PLACEHOLDER: Final = re.compile(
    r"(?i)[<${%]|\b(?:your|example|changeme|change_me|xxx|placeholder)"
)
_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]{20,}")
_HEXADECIMAL: Final = re.compile(r"(?i)[0-9a-f]{32,}\Z")
_BITS: Final = 4.0  # a character
_CHANGES: Final = 0.36  # from one kind of character to another, of all characters


def holds_secret(text: str) -> bool:
    """Say whether `text` looks as if it held a secret."""
    if _MARKED.search(text):
        return True
    if any(not _PLACEHOLDER.search(found["value"]) for found in _NAMED.finditer(text)):
        return True
    return any(_is_random(found[0]) for found in _RUN.finditer(text))


def _is_random(run: str) -> bool:
    """Tell a run of random characters from a name, a path or a row of dashes."""
    if _HEXADECIMAL.match(run):
        return len(set(run.lower())) > 8
    counts = Counter(run)
    bits = -sum(n / len(run) * math.log2(n / len(run)) for n in counts.values())
    return bits >= min(_BITS, math.log2(len(run)) - 0.8) and _changes(run) >= _CHANGES * len(run)


def _changes(run: str) -> int:
    """Count where one kind of character follows another: seldom in names, often in keys."""
    kinds = [(one.isupper(), one.islower(), one.isdigit()) for one in run]
    return sum(one != other for one, other in pairwise(kinds))
