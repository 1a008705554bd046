"""Verification: what the target would say at each node, and how far the tree agrees.

A `Verifier` judges one request's trees; `Greedy` is here, sampling in `sampling.py`.

The walk starts at the root. As long as the target's choice is a child in the tree, it goes down;
the first choice that is not in the tree is the *bonus* token, which the target gives for free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from umbrella_engine.healing import Healing
from umbrella_engine.tree import ROOT, Tree


class Verifier(Protocol):
    """How one request's tokens are chosen."""

    def walk(self, logits: Tensor, tree: Tree, owed: bytes) -> tuple[list[int], int]:
        """Give the accepted path, as node indices from the root's child down, and the bonus token.

        logits: [1 + nodes, vocab], the root's first. The tokens keep the promise `owed`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Greedy:
    """The likeliest token, always."""

    healing: Healing

    def walk(self, logits: Tensor, tree: Tree, owed: bytes) -> tuple[list[int], int]:
        """Follow the likeliest tokens; see `Verifier`."""
        return walk(tree, choose(logits, tree, owed, self.healing))


def choose(logits: Tensor, tree: Tree, owed: bytes, healing: Healing) -> list[int]:
    """Give the target's greedy token after the root and after each node.

    logits: [1 + nodes, vocab]. While bytes are owed after a row, its choice is the best among the
    tokens that keep the promise. Returns 1 + nodes ids, the root's first.
    """
    choices: list[int] = logits.argmax(dim=-1).tolist()
    if owed:
        for row, debt in enumerate([owed, *debts(tree, owed, healing)]):
            if debt:
                allowed = torch.tensor(healing.allowed(debt), device=logits.device)
                choices[row] = int(allowed[logits[row, allowed].argmax()])
    return choices


def best(logits: Tensor, count: int, owed: bytes, healing: Healing) -> list[int]:
    """Give the target's `count` best tokens in one place, best first; `choose` takes the first.

    logits: [vocab]. While bytes are owed only the tokens that keep the promise count.
    """
    if not owed:
        tokens: list[int] = logits.argsort(descending=True, stable=True)[:count].tolist()
        return tokens
    allowed = torch.tensor(healing.allowed(owed), device=logits.device)
    order = best(logits[allowed], count, b"", healing)
    return [int(allowed[place]) for place in order]


def log_probabilities(
    logits: Tensor, tree: Tree, path: Sequence[int], bonus: int, owed: bytes, healing: Healing
) -> list[float]:
    """Tell how probable the target finds each accepted token and the bonus, as natural logarithms.

    logits: [1 + nodes, vocab]. While bytes are owed, probabilities are those among the tokens that
    keep the promise. Gives one number for each node of `path` and one for `bonus`.
    """
    tokens = [*(tree.tokens[node] for node in path), bonus]
    rows = logits[[0, *(node + 1 for node in path)]].float()
    totals = rows.logsumexp(dim=-1)
    debt: bytes | None = owed
    for place, token in enumerate(tokens):
        if not debt:
            break
        allowed = torch.tensor(healing.allowed(debt), device=logits.device)
        totals[place] = rows[place, allowed].logsumexp(dim=-1)
        debt = healing.after(debt, token)
    chosen = rows.gather(1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0]
    found: list[float] = (chosen - totals).clamp(max=0.0).tolist()
    return found


def debts(tree: Tree, owed: bytes, healing: Healing) -> list[bytes | None]:
    """Tell what is still owed after each node; None below a node that breaks the promise."""
    after: list[bytes | None] = []
    for token, parent in zip(tree.tokens, tree.parents, strict=True):
        before = owed if parent == ROOT else after[parent]
        after.append(healing.after(before, token) if before else before)
    return after


def walk(tree: Tree, choices: Sequence[int]) -> tuple[list[int], int]:
    """Give the accepted path, as node indices from the root's child down, and the bonus token."""
    path: list[int] = []
    node = ROOT
    while True:
        choice = choices[node + 1]
        below = tree.child(node, choice)
        if below is None:
            return path, choice
        path.append(below)
        node = below
