"""A fill-in-the-middle prompt as the texts that it stands for, in the order of the document.

The prompt's own order puts the text after the cursor between two parts of the text before it. Who
looks for repetition wants what was written last at the end, and the rest as a text of its own.
"""

from collections.abc import Sequence

from umbrella_engine.interface import FimTokens


def logical_order(ids: Sequence[int], fim: FimTokens | None) -> tuple[list[int], list[int]]:
    """Give the ids that lead to the cursor and those that follow it; none where nothing follows."""
    ids = list(ids)
    middle = _last(ids, fim.middle, len(ids)) if fim is not None else -1
    if fim is not None and fim.order == "sp" and middle < 0:
        middle = len(ids)  # answers follow the text before the cursor
    suffix = _last(ids, fim.suffix, middle) if fim is not None and middle > 0 else -1
    if suffix < 0:
        return ids, []
    prefix = _last(ids, fim.prefix, middle) if fim is not None else -1
    if prefix > suffix:  # the text after the cursor comes first
        return ids[:suffix] + ids[prefix + 1 : middle] + ids[middle + 1 :], ids[suffix + 1 : prefix]
    return ids[:suffix] + ids[middle + 1 :], ids[suffix + 1 : middle]


def _last(ids: list[int], token: int, end: int) -> int:
    """Place of the last `token` before `end`, -1 without one."""
    if end <= 0 or token not in ids:
        return -1
    backwards = ids[end - 1 :: -1]
    return end - 1 - backwards.index(token) if token in backwards else -1
