"""Tokens by chance: what may be said and how likely, and a walk that is exact in distribution.

Sequoia's verification (arXiv 2402.12374, algorithm 2). The draft draws a node's children one after
the other, without replacement, from its own distribution q. In the same order the target, with
distribution p, takes a child with probability min(1, p ÷ q); after a refusal p becomes the
remainder max(0, p - q) and q loses the child, both scaled to sum 1 again. When no drawn child is
left, a token is sampled from what p has become. Where that token is in the tree, put there by a
source without chance (a copy, a retyped word), the walk goes on below it: such nodes are point
masses and need no rule of their own.

So the tokens are distributed as the target alone would have them, whatever the tree: what was drawn
is judged whether or not it was kept in the tree, and a token that was not ends the walk.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from umbrella_engine.healing import Healing
from umbrella_engine.interface import Sampling
from umbrella_engine.tree import ROOT, Tree

Distribution = NDArray[np.float64]  # [vocab], sums to 1

_LIKELIEST = 256  # tokens that usually hold a nucleus; sorting all of them takes ten times as long


@dataclass(frozen=True, slots=True)
class Drawn:
    """The children of a node that were drawn by chance, in the order of drawing."""

    tokens: tuple[int, ...]
    distribution: Distribution  # they were drawn from, without replacement


class Draws:
    """One request's chances: the draft draws children here and the walk judges them."""

    def __init__(self, sampling: Sampling, healing: Healing) -> None:
        self._sampling = sampling
        self._healing = healing
        self._random = np.random.default_rng(sampling.seed)
        self._drawn: dict[tuple[int, ...], Drawn] = {}  # for the latest tree, by tokens of a path

    def begin_tree(self) -> None:
        """Forget what was drawn for the tree before."""
        self._drawn.clear()

    def draw(self, logits: Tensor, path: tuple[int, ...], count: int, owed: bytes) -> list[int]:
        """Draw at most `count` different tokens behind the tokens `path`.

        logits: a draft's, [vocab].
        """
        q = probabilities(logits, self._sampling, owed, self._healing)
        tokens = draw(q, count, self._random)
        self._drawn[path] = Drawn(tuple(tokens), q)
        return tokens

    def walk(self, logits: Tensor, tree: Tree, owed: bytes) -> tuple[list[int], int]:
        """Follow what chance gives; see `Verifier`. What owed bytes rule out has no chance."""
        path: list[int] = []
        tokens: tuple[int, ...] = ()
        while True:
            node = path[-1] if path else ROOT
            p = probabilities(logits[node + 1], self._sampling, owed, self._healing)
            token = choose(p, self._drawn.get(tokens), self._random)
            below = tree.child(node, token)
            if below is None:
                return path, token
            path.append(below)
            tokens = (*tokens, token)
            owed = self._healing.after(owed, token) or b"" if owed else b""


def probabilities(
    logits: Tensor, sampling: Sampling, owed: bytes, healing: Healing
) -> Distribution:
    """Give the chance of each token. logits: [vocab], on any device, padded ids ignored.

    While bytes are owed only tokens that keep the promise have one; filters come after that.
    """
    row = logits[: healing.vocab_size].float()
    if owed:
        allowed = torch.tensor(healing.allowed(owed), device=row.device)
        masked = torch.full_like(row, -torch.inf)
        masked[allowed] = row[allowed]
        row = masked
    found = ((row - row.max()) / sampling.temperature).softmax(dim=-1)
    if sampling.top_k:
        found = _likeliest(found, min(sampling.top_k, len(found)))
    if sampling.top_p < 1:
        found = _nucleus(found, sampling.top_p)
    if sampling.min_p:
        found = found.where(found >= sampling.min_p * found.max(), 0.0)
    return np.asarray((found.double() / found.double().sum()).cpu())


def draw(q: Distribution, count: int, random: np.random.Generator) -> list[int]:
    """Draw different tokens one after the other; fewer than `count` where no more have a chance."""
    rest = q.copy()
    tokens: list[int] = []
    possible = int(np.count_nonzero(q))
    while len(tokens) < min(count, possible):
        token = sample(rest, random)
        tokens.append(token)
        rest[token] = 0.0
    return tokens


def choose(p: Distribution, drawn: Drawn | None, random: np.random.Generator) -> int:
    """Choose a token with distribution `p`, one of the drawn ones as often as may be."""
    if drawn is not None:
        q = drawn.distribution.copy()
        for token in drawn.tokens:
            if random.random() * q[token] < p[token]:
                return token
            p = remainder(p, q)
            q[token] = 0.0
            q /= q.sum() or 1.0
    return sample(p, random)


def remainder(p: Distribution, q: Distribution) -> Distribution:
    """Give what `p` still asks for after a draw from `q` was refused; sums to 1."""
    rest = (p - q).clip(min=0.0)
    total = rest.sum()
    # without rounding nothing is refused where p equals q
    return rest / total if total > 0 else p


def sample(p: Distribution, random: np.random.Generator) -> int:
    """Draw one token; `p` need not sum to 1, but must not be zero everywhere."""
    reached = p.cumsum()
    return int(reached.searchsorted(random.random() * reached[-1], side="right"))


def _likeliest(found: Tensor, count: int) -> Tensor:
    """Keep the `count` likeliest tokens."""
    values, tokens = found.topk(count)
    return torch.zeros_like(found).scatter(0, tokens, values)


def _nucleus(found: Tensor, top_p: float) -> Tensor:
    """Keep the fewest likeliest tokens that together reach the share `top_p` of what there is."""
    wanted = top_p * found.sum()
    values, tokens = found.topk(min(_LIKELIEST, len(found)))
    if values.sum() < wanted:
        values, tokens = found.sort(descending=True)
    before = values.cumsum(dim=0) - values
    return torch.zeros_like(found).scatter(0, tokens, values.where(before < wanted, 0.0))
