"""Sampling over drawn trees: exact in distribution, whatever was drawn and whatever is in the tree.

Counts of up to 10⁵ samples are held against the target's own distribution. The same counts of code
that is broken by one line must not fit.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.engine.chance import p_value
from tests.engine.tiny import TinyTokenizer
from umbrella_engine import sampling
from umbrella_engine.healing import Healing
from umbrella_engine.interface import GREEDY, Sampling
from umbrella_engine.sampling import Distribution, Drawn, choose, draw, probabilities

pytestmark = pytest.mark.timeout(600)  # seconds; a machine may be busy

VOCAB = 61
MANY, FEWER = 100_000, 25_000  # samples
FITS = 1e-3  # p-value; seeds are fixed, so a fit stays one
BROKEN = 1e-9

CASES = {
    "chain": (Sampling(1.0), 1, FEWER),
    "tree": (Sampling(1.0), 3, FEWER),
    "chain, cool, nucleus": (Sampling(0.5, top_p=0.8), 1, MANY),
    "tree, cool, nucleus": (Sampling(0.5, top_p=0.8), 3, FEWER),
    "tree, hot, nucleus, top-k": (Sampling(2.0, top_k=12, top_p=0.95), 4, MANY),
    "wide tree, min-p": (Sampling(1.3, min_p=0.1), 8, FEWER),
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


def dense(chances: Distribution) -> list[float]:
    """The chance of every token."""
    every: list[float] = chances.of(np.arange(VOCAB)).tolist()
    return every


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
    settings, draws, samples = CASES[case]
    p, q = pair(settings, healing)
    found = counts(p, q, draws, samples)
    assert p_value(found, dict(enumerate(dense(p)))) > FITS
    accepted = sum(map(min, dense(p), dense(q)))
    assert 0.2 < accepted < 0.8  # neither trivial nor hopeless


def test_children_are_drawn_without_replacement(healing: Healing) -> None:
    _, q = pair(Sampling(1.0, top_k=6), healing)
    random = np.random.default_rng(3)
    found: Counter[object] = Counter()
    for _ in range(20_000):
        first, second = draw(q, 2, random)
        found[first, second] += 1
    chances = dict(zip(q.tokens.tolist(), q.chances.tolist(), strict=True))
    expected = {
        (first, second): chances[first] * chances[second] / (1 - chances[first])
        for first in chances
        for second in chances
        if first != second
    }
    assert p_value(found, expected) > FITS
    assert sorted(draw(q, 99, random)) == q.tokens.tolist()  # no more than can be drawn


def test_what_draws_agree_on_is_accepted_as_often_as_can_be(healing: Healing) -> None:
    p, q = pair(Sampling(1.0), healing)
    random = np.random.default_rng(5)
    accepted = 0
    for _ in range(20_000):
        (token,) = draw(q, 1, random)
        accepted += choose(p, Drawn((token,), q), random) == token
    # a refused token is never what is sampled instead
    assert accepted / 20_000 == pytest.approx(sum(map(min, dense(p), dense(q))), abs=0.01)
    (token,) = draw(p, 1, random)
    assert all(choose(p, Drawn((token,), p), random) == token for _ in range(100))


Chances = NDArray[np.float64]


def unscaled_remainder(p: Chances, q: Chances) -> Chances:
    return (p - q).clip(min=0.0)


def no_remainder(p: Chances, q: Chances) -> Chances:
    return p


def remainder_without_the_likeliest(p: Chances, q: Chances) -> Chances:
    rest = p.copy()
    rest[q.argmax()] = 0.0
    return np.asarray(rest / rest.sum())


def with_replacement(q: Distribution, count: int, random: np.random.Generator) -> list[int]:
    return [int(q.tokens[sampling.sample(q.chances, random)]) for _ in range(count)]


def likeliest(q: Distribution, count: int, random: np.random.Generator) -> list[int]:
    return [int(q.tokens[place]) for place in (-q.chances).argsort()[:count]]


def one_more_chance(p: Distribution, drawn: Drawn, random: np.random.Generator) -> int:
    chances, q = p.chances, drawn.distribution.of(p.tokens)
    for token in drawn.tokens:
        place = p.tokens.searchsorted(token)
        if p.of(np.array([token])).any() and random.random() * q[place] < chances[place]:
            return token
        chances = sampling.remainder(chances, q)  # q keeps what was drawn
    return int(p.tokens[sampling.sample(chances, random)])


MUTATIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "the remainder is not scaled to 1": ("remainder", unscaled_remainder),
    "children are drawn with replacement": ("draw", with_replacement),
    "after a refusal the target's distribution stays": ("remainder", no_remainder),
    "the remainder only lacks a token": ("remainder", remainder_without_the_likeliest),
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
    assert p_value(counts(p, q, 3, 20_000), dict(enumerate(dense(p)))) < BROKEN


def test_filters_leave_what_they_should(healing: Healing) -> None:
    row = torch.full((VOCAB,), -torch.inf)
    row[:5] = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log()

    def left(**settings: Any) -> list[float]:
        found = probabilities(row, Sampling(**{"temperature": 1.0, **settings}), b"", healing)
        assert found.chances.sum() == pytest.approx(1)
        assert found.chances.all()
        return [round(chance, 4) for chance in dense(found)[:5]]

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
        vocab_size = 4000

    row = torch.randn(4001, generator=torch.Generator().manual_seed(1)) * 0.1
    row[4000] = 100.0  # an id that only fills the embedding up
    found = probabilities(row, Sampling(1.0, top_p=0.9), b"", Healing(Large()))
    full, order = row[:4000].softmax(dim=-1).sort(descending=True)
    kept = len(found.tokens)
    assert 1024 < kept < 4000
    assert found.tokens.tolist() == sorted(order[:kept].tolist())
    assert full[: kept - 1].sum() < 0.9 <= full[:kept].sum() + 1e-5
    few = probabilities(row, Sampling(1.0, top_k=2000, top_p=0.9), b"", Healing(Large()))
    share = full[: len(few.tokens)].sum() / full[:2000].sum()
    assert share == pytest.approx(0.9, abs=1e-3)


def test_owed_bytes_rule_everything_else_out(healing: Healing) -> None:
    found = probabilities(logits(1), Sampling(1.0, top_p=0.9), b"ab", healing)
    possible = set(found.tokens.tolist())
    assert possible
    assert possible < set(healing.allowed(b"ab").tolist())
    everything = probabilities(logits(1), Sampling(1.0), b"ab", healing)
    assert everything.tokens.tolist() == healing.allowed(b"ab").tolist()
    expected = logits(1)[torch.from_numpy(everything.tokens)].softmax(dim=-1)
    assert everything.chances.tolist() == pytest.approx(expected.tolist())


def test_a_draft_may_draw_what_the_target_rules_out(healing: Healing) -> None:
    p = probabilities(logits(1), Sampling(1.0, top_k=3), b"", healing)
    q = probabilities(-logits(1), Sampling(1.0), b"", healing)
    found = counts(p, q, VOCAB, 2000)
    assert p_value(found, dict(enumerate(dense(p)))) > FITS


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
