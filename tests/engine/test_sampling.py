"""Sampling over drawn trees: exact in distribution, whatever was drawn and whatever is in the tree.

Counts of 10⁵ samples are held against the target's own distribution. The same counts of code that
is broken by one line must not fit.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.chance import p_value
from tests.engine.tiny import TinyTokenizer
from umbrella_engine import sampling
from umbrella_engine.healing import Healing
from umbrella_engine.interface import GREEDY, Sampling
from umbrella_engine.sampling import Distribution, Drawn, choose, draw, probabilities

VOCAB = 61
SAMPLES = 100_000
FITS = 1e-3  # p-value; seeds are fixed, so a fit stays one
BROKEN = 1e-9

CASES = {
    "chain": (Sampling(1.0), 1),
    "tree": (Sampling(1.0), 3),
    "tree, cool, nucleus": (Sampling(0.5, top_p=0.8), 3),
    "tree, hot, nucleus, top-k": (Sampling(2.0, top_k=12, top_p=0.95), 4),
    "wide tree, min-p": (Sampling(1.3, min_p=0.1), 8),
}


@pytest.fixture(scope="module")
def healing() -> Healing:
    return Healing(TinyTokenizer())


def logits(seed: int) -> torch.Tensor:
    return torch.randn(VOCAB, generator=torch.Generator().manual_seed(seed)) * 1.5


def pair(settings: Sampling, healing: Healing) -> tuple[Distribution, Distribution]:
    """A target's distribution and that of a draft which agrees about half of the time."""
    target = logits(1)
    return (
        probabilities(target, settings, b"", healing),
        probabilities(target + 0.6 * logits(2), settings, b"", healing),
    )


def counts(p: Distribution, q: Distribution, draws: int, samples: int) -> Counter[object]:
    """What comes out of drawing children and judging them, many times."""
    random = np.random.default_rng(7)
    found: Counter[object] = Counter()
    for _ in range(samples):
        tokens = sampling.draw(q, draws, random)
        found[sampling.choose(p, Drawn(tuple(tokens), q), random)] += 1
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_target_alone_decides_the_distribution(case: str, healing: Healing) -> None:
    settings, draws = CASES[case]
    p, q = pair(settings, healing)
    found = counts(p, q, draws, SAMPLES)
    assert p_value(found, dict(enumerate(p.tolist()))) > FITS
    accepted = 1 - 0.5 * float(np.abs(p - q).sum())
    assert 0.2 < accepted < 0.8  # neither trivial nor hopeless


def test_children_are_drawn_without_replacement(healing: Healing) -> None:
    _, q = pair(Sampling(1.0, top_k=6), healing)
    random = np.random.default_rng(3)
    found: Counter[object] = Counter()
    for _ in range(20_000):
        first, second = draw(q, 2, random)
        found[first, second] += 1
    expected = {
        (first, second): q[first] * q[second] / (1 - q[first])
        for first in q.nonzero()[0].tolist()
        for second in q.nonzero()[0].tolist()
        if first != second
    }
    assert p_value(found, expected) > FITS
    assert sorted(draw(q, 99, random)) == q.nonzero()[0].tolist()  # no more than can be drawn


def test_what_draws_agree_on_is_accepted_as_often_as_can_be(healing: Healing) -> None:
    p, q = pair(Sampling(1.0), healing)
    random = np.random.default_rng(5)
    accepted = 0
    for _ in range(20_000):
        (token,) = draw(q, 1, random)
        accepted += choose(p, Drawn((token,), q), random) == token
    # a refused token is never what is sampled instead
    assert accepted / 20_000 == pytest.approx(float(np.minimum(p, q).sum()), abs=0.01)
    (token,) = draw(p, 1, random)
    assert all(choose(p, Drawn((token,), p), random) == token for _ in range(100))


def unscaled_remainder(p: Distribution, q: Distribution) -> Distribution:
    return (p - q).clip(min=0.0)


def with_replacement(q: Distribution, count: int, random: np.random.Generator) -> list[int]:
    return [sampling.sample(q, random) for _ in range(count)]


def no_remainder(p: Distribution, q: Distribution) -> Distribution:
    return p


def remainder_without_the_token_alone(p: Distribution, q: Distribution) -> Distribution:
    rest = p.copy()
    rest[q.argmax()] = 0.0
    return np.asarray(rest / rest.sum())


def likeliest(q: Distribution, count: int, random: np.random.Generator) -> list[int]:
    return [int(token) for token in (-q).argsort()[:count]]


def one_more_chance(p: Distribution, drawn: Drawn, random: np.random.Generator) -> int:
    for token in drawn.tokens:
        if random.random() * drawn.distribution[token] < p[token]:
            return token
        p = sampling.remainder(p, drawn.distribution)  # q keeps what was drawn
    return sampling.sample(p, random)


MUTATIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "the remainder is not scaled to 1": ("remainder", unscaled_remainder),
    "children are drawn with replacement": ("draw", with_replacement),
    "after a refusal the target's distribution stays": ("remainder", no_remainder),
    "the remainder only lacks a token": ("remainder", remainder_without_the_token_alone),
    "the likeliest children are offered as if drawn": ("draw", likeliest),
    "the draft's distribution keeps what was drawn": ("choose", one_more_chance),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_counts_notice(
    mutation: str, healing: Healing, monkeypatch: pytest.MonkeyPatch
) -> None:
    p, q = pair(Sampling(1.0, top_k=6), healing)
    name, broken = MUTATIONS[mutation]
    monkeypatch.setattr(sampling, name, broken)
    assert p_value(counts(p, q, 3, 20_000), dict(enumerate(p.tolist()))) < BROKEN


def test_filters_leave_what_they_should(healing: Healing) -> None:
    row = torch.full((VOCAB,), -torch.inf)
    row[:5] = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log()

    def left(**settings: Any) -> list[float]:
        chances = probabilities(row, Sampling(**{"temperature": 1.0, **settings}), b"", healing)
        assert chances.sum() == pytest.approx(1)
        return [round(chance, 4) for chance in chances[:5].tolist()]

    assert left() == [0.4, 0.3, 0.15, 0.1, 0.05]
    assert left(top_k=2) == [0.5714, 0.4286, 0, 0, 0]
    assert left(top_p=0.7) == left(top_p=0.5) == [0.5714, 0.4286, 0, 0, 0]
    assert left(top_p=1e-9) == [1, 0, 0, 0, 0]
    assert left(min_p=0.26) == [0.4706, 0.3529, 0.1765, 0, 0]
    assert left(top_k=3, top_p=0.8) == [0.5714, 0.4286, 0, 0, 0]  # top-p of what top-k left
    assert left(temperature=0.5)[0] == round(0.16 / 0.285, 4)
    assert left(temperature=1e-6) == [1, 0, 0, 0, 0]


def test_a_nucleus_of_many_tokens_is_as_exact() -> None:
    class Large(TinyTokenizer):
        vocab_size = 2000

    healing = Healing(Large())
    row = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 0.1
    chances = probabilities(row, Sampling(1.0, top_p=0.9), b"", healing)
    full = row.softmax(dim=-1).sort(descending=True).values
    kept = int(np.count_nonzero(chances))
    assert kept > 256
    assert full[: kept - 1].sum() < 0.9 <= full[:kept].sum() + 1e-6


def test_owed_bytes_rule_everything_else_out(healing: Healing) -> None:
    chances = probabilities(logits(1), Sampling(1.0, top_p=0.9), b"ab", healing)
    possible = set(chances.nonzero()[0].tolist())
    assert possible
    assert possible <= set(healing.allowed(b"ab").tolist())


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"top_k": -1},
    ],
)
def test_what_is_no_distribution_is_refused(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=name):
        Sampling(**settings)
    assert Sampling(temperature=0) == GREEDY
