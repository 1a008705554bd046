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

NOTHING = 1e-9  # of a distribution is left by rounding when all of it was drawn
_USUAL = 1024  # likeliest tokens mostly hold a nucleus; sorting all of them is far dearer


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """The tokens that have a chance, ascending, and their chances, which sum to 1."""

    tokens: NDArray[np.int64]
    chances: NDArray[np.float64]

    def of(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the chance of each of `tokens`."""
        places = self.tokens.searchsorted(tokens).clip(max=len(self.tokens) - 1)
        return np.where(self.tokens[places] == tokens, self.chances[places], 0.0)


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
    tokens = None
    if owed:
        tokens = torch.tensor(healing.allowed(owed), device=row.device)
        row = row[tokens]
    found = ((row - row.max()) / sampling.temperature).softmax(dim=-1)
    places = None
    if sampling.top_k or sampling.top_p < 1:
        found, places = _likeliest(found, sampling.top_k or len(found), sampling.top_p)
    if sampling.min_p:
        found = found.where(found >= sampling.min_p * found.max(), 0.0)
    return _distribution(found, places, tokens)


def draw(q: Distribution, count: int, random: np.random.Generator) -> list[int]:
    """Draw different tokens one after the other; fewer than `count` where no more have a chance."""
    rest = q.chances.copy()
    tokens: list[int] = []
    while len(tokens) < min(count, len(q.tokens)):
        place = sample(rest, random)
        tokens.append(int(q.tokens[place]))
        rest[place] = 0.0
    return tokens


def choose(p: Distribution, drawn: Drawn | None, random: np.random.Generator) -> int:
    """Choose a token with distribution `p`, one of the drawn ones as often as may be."""
    chances = p.chances
    if drawn is not None:
        q = drawn.distribution.of(p.tokens)
        left = 1.0  # of the draft's chances, also of tokens that the target rules out
        for token, share in zip(
            drawn.tokens, drawn.distribution.of(np.array(drawn.tokens)), strict=True
        ):
            place = int(p.tokens.searchsorted(token))
            known = place < len(p.tokens) and p.tokens[place] == token
            if known and random.random() * share / left < chances[place]:
                return token
            chances = remainder(chances, q / left)
            left -= share
            if known:
                q[place] = 0.0
            if left <= NOTHING:
                break
    return int(p.tokens[sample(chances, random)])


def remainder(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give what `p` still asks for after a draw from `q` was refused; sums to 1."""
    rest: NDArray[np.float64] = (p - q).clip(min=0.0)
    total = rest.sum()
    # without rounding nothing is refused where p equals q
    return rest / total if total > 0 else p


def sample(chances: NDArray[np.float64], random: np.random.Generator) -> int:
    """Draw one place; `chances` need not sum to 1, but must not be zero everywhere."""
    reached = chances.cumsum()
    return int(reached.searchsorted(random.random() * reached[-1], side="right"))


def _likeliest(found: Tensor, count: int, top_p: float) -> tuple[Tensor, Tensor]:
    """Give the `count` likeliest, of these the fewest that reach the share `top_p` of their sum.

    Chances and places, the likeliest first.
    """
    count = min(count, len(found))
    values, places = found.topk(count if count < len(found) else min(_USUAL, count))
    if top_p == 1:
        return values, places
    total = found.sum() if count == len(found) else values.sum()
    if values.sum() < top_p * total:
        values, places = found.sort(descending=True)
    kept = values.cumsum(dim=0) - values < top_p * total
    return values[kept], places[kept]


def _distribution(found: Tensor, places: Tensor | None, tokens: Tensor | None) -> Distribution:
    """Put chances of `places` (None: all) among `tokens` (None: all) in the order of tokens."""
    kept = found.nonzero()[:, 0]
    if places is not None:
        kept = kept[places[kept].argsort()]
    chances = found[kept].double()
    ids = kept if places is None else places[kept]
    ids = ids if tokens is None else tokens[ids]
    return Distribution(ids.cpu().numpy(), (chances / chances.sum()).cpu().numpy())
