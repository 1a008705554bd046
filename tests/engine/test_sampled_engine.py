"""Whole answers by chance: several tokens together are distributed as the target's own.

The models are bigrams, so that the distribution of three tokens in a row is known exactly; one pair
is of transformers. Drafts are drawn trees, trimmed and merged with copies of earlier text.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.engine.chance import p_value
from tests.engine.tiny import VOCAB, TinyTokenizer, load_tiny, save_family
from umbrella_engine import sampling
from umbrella_engine.config import DraftConfig
from umbrella_engine.draft import Drafter
from umbrella_engine.draft.drawn import DrawnDrafter
from umbrella_engine.draft.growth import StaticGrowth
from umbrella_engine.draft.merge import MergedDrafter
from umbrella_engine.draft.none import NoDrafter
from umbrella_engine.draft.retyped import RetypedDrafter
from umbrella_engine.draft.suffix import SuffixDrafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.healing import Healing
from umbrella_engine.interface import EngineInfo, Limits, Sampling
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.language_model import ForwardPass, LanguageModel
from umbrella_engine.sampling import Draws, probabilities
from umbrella_engine.shape import Shape, from_paths
from umbrella_engine.stats import Stats
from umbrella_engine.tree import Tree

pytestmark = pytest.mark.timeout(600)  # seconds; a machine may be busy

CHAIN = from_paths([(0,), (0, 0), (0, 0, 0)])
TREE = from_paths([(0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (0, 0, 0)])
PROMPT = [5, 9, 5, 7, 5, 9, 5]
SAMPLES = 3_000
TOKENS = 3


class NoMemory:
    """The cache of a model that looks at one token only."""

    n_lanes = 4
    capacity = 256

    def copy_lane(self, source: int, target: int, length: int) -> None:
        pass

    def compact(self, lane: int, slots: Sequence[int], start: int) -> None:
        pass


@dataclass
class Bigram:
    """Logits follow from the token before."""

    table: torch.Tensor  # [vocab, vocab]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    cache: KVCache = field(default_factory=lambda: cast(KVCache, NoMemory()))

    def forward(
        self, ids: Any, positions: Any, lane: int, start: int, tail: Any, first_row: int
    ) -> torch.Tensor:
        return self.table[ids[first_row:]]


def chances(
    row: torch.Tensor, settings: Sampling, owed: bytes, healing: Healing
) -> Iterator[tuple[int, float]]:
    """Give each token that has a chance with its chance."""
    found = probabilities(row, settings, owed, healing)
    return zip(found.tokens.tolist(), found.chances.tolist(), strict=True)


class World:
    """A target and a draft that half agree; what the target alone would say."""

    def __init__(self) -> None:
        torch.manual_seed(4)
        self.table = torch.randn(VOCAB, VOCAB) * 1.5
        self.table[5, 9] = self.table[5].max()  # what the prompt repeats is no bad guess
        target: ForwardPass = Bigram(self.table)
        draft: ForwardPass = Bigram(self.table + torch.randn(VOCAB, VOCAB) * 0.7)
        self.target, self.draft = LanguageModel(target, 64), LanguageModel(draft, 64)
        self.tokenizer = TinyTokenizer()
        self.healing = Healing(self.tokenizer)

    def engine(self, shape: Shape, max_nodes: int) -> SpeculativeEngine:
        def drawing(draws: Draws) -> Drafter:
            config = DraftConfig(suffix_min_match=1, suffix_tokens=3)
            return MergedDrafter(
                [
                    RetypedDrafter(self.tokenizer),
                    DrawnDrafter(self.draft, StaticGrowth(shape), self.healing, draws),
                    SuffixDrafter(config, self.healing),
                ],
                max_nodes,
                self.healing,
            )

        return SpeculativeEngine(
            info=EngineInfo("tiny", "target", "draft", "cpu", "float32", 128),
            tokenizer=self.tokenizer,
            target=self.target,
            drafter=NoDrafter(),
            healing=self.healing,
            drawing=drawing,
        )

    def expected(self, settings: Sampling, owed: bytes) -> dict[object, float]:
        """Chance of each answer of three tokens."""
        answers: dict[tuple[int, ...], tuple[float, bytes]] = {(): (1.0, owed)}
        for _ in range(TOKENS):
            longer = {}
            for answer, (chance, debt) in answers.items():
                row = self.table[answer[-1] if answer else PROMPT[-1]]
                for token, p in chances(row, settings, debt, self.healing):
                    after = self.healing.after(debt, token) or b"" if debt else b""
                    longer[*answer, token] = chance * p, after
            answers = longer
        return {answer: chance for answer, (chance, _) in answers.items()}


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Every row comes up thousands of times."""

    @cache
    def known(row: bytes, settings: Sampling, owed: bytes) -> sampling.Distribution:
        logits = torch.frombuffer(bytearray(row), dtype=torch.float32)
        return probabilities(logits, settings, owed, world.healing)

    def quick(logits: torch.Tensor, settings: Sampling, owed: bytes, healing: Healing) -> Any:
        return known(logits.numpy().tobytes(), replace(settings, seed=0), owed)

    monkeypatch.setattr(sampling, "probabilities", quick)


def answers(
    engine: SpeculativeEngine,
    settings: Sampling,
    owed: bytes,
    samples: int,
    accepted: Counter[str] | None = None,
) -> Counter[object]:
    found: Counter[object] = Counter()
    for seed in range(samples):
        chance, stats = replace(settings, seed=seed), Stats()
        steps = engine.generate(
            PROMPT, Limits(TOKENS), lambda: False, owed=owed, stats=stats, sampling=chance
        )
        found[tuple(token for step in steps for token in step.tokens)] += 1
        if accepted is not None:
            accepted.update(stats.accepted_by)
    return found


@pytest.mark.parametrize(
    ("shape", "max_nodes", "settings", "owed"),
    [
        (CHAIN, 99, Sampling(1.0, top_k=5), b""),
        (TREE, 99, Sampling(0.7, top_p=0.7), b""),
        (TREE, 4, Sampling(1.5, top_k=6, min_p=0.05), b""),  # three drawn nodes are dropped
        (TREE, 99, Sampling(1.0, top_k=4), b"ab"),
    ],
)
def test_answers_are_the_targets_own(
    shape: Shape, max_nodes: int, settings: Sampling, owed: bytes, world: World
) -> None:
    accepted: Counter[str] = Counter()
    found = answers(world.engine(shape, max_nodes), settings, owed, SAMPLES, accepted)
    assert p_value(found, world.expected(settings, owed)) > 1e-3
    assert accepted["model"] > SAMPLES / 4
    if shape is CHAIN:  # a tree of draws mostly has the copied tokens already
        assert accepted["suffix"] > 0
    if owed:
        spelled = world.tokenizer.token_bytes
        assert all(
            b"".join(map(spelled, cast(tuple[int, ...], answer))).startswith(owed)
            for answer in found
        )


def of_another_temperature(
    self: Draws, logits: torch.Tensor, path: tuple[int, ...], count: int, owed: bytes
) -> list[int]:
    tokens = draw(self, logits / 2, path, count, owed)
    drawn = self._drawn[path]
    q = sampling.probabilities(logits, self._sampling, owed, self._healing)
    self._drawn[path] = replace(drawn, distribution=q)
    return tokens


def likeliest_first(
    self: Draws, logits: torch.Tensor, path: tuple[int, ...], count: int, owed: bytes
) -> list[int]:
    tokens = draw(self, logits, path, count, owed)
    drawn = self._drawn[path]
    order = np.argsort(-drawn.distribution.of(np.array(tokens)))
    self._drawn[path] = replace(drawn, tokens=tuple(tokens[place] for place in order))
    return tokens


def unlikely_ones_dropped(
    self: Draws, logits: torch.Tensor, path: tuple[int, ...], count: int, owed: bytes
) -> list[int]:
    tokens = draw(self, logits, path, count, owed)
    drawn = self._drawn[path]
    shares = drawn.distribution.of(np.array(tokens))
    kept = tuple(token for token, share in zip(tokens, shares, strict=True) if share > 0.3)
    self._drawn[path] = replace(drawn, tokens=kept)
    return list(kept)


def asked_above(
    self: Draws, logits: torch.Tensor, tree: Tree, owed: bytes
) -> tuple[list[int], int]:
    rows = [0, *(parent + 1 for parent in tree.parents)]
    return walk(self, logits[rows], tree, owed)


draw, walk = Draws.draw, Draws.walk

MUTATIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "children are drawn at another temperature than is said": ("draw", of_another_temperature),
    "the likeliest drawn child is judged first": ("draw", likeliest_first),
    "unlikely drawn children are dropped and not judged": ("draw", unlikely_ones_dropped),
    "the target is asked one token too early": ("walk", asked_above),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_counts_notice(mutation: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name, broken = MUTATIONS[mutation]
    monkeypatch.setattr(Draws, name, broken)
    settings = Sampling(1.0, top_k=5)
    found = answers(world.engine(TREE, 99), settings, b"", 2_000)
    assert p_value(found, world.expected(settings, b"")) < 1e-9


def test_equal_seeds_give_equal_answers_whatever_happened_before(world: World) -> None:
    def answer(engine: SpeculativeEngine, seed: int | None) -> list[int]:
        settings = Sampling(1.0, seed=seed)
        steps = engine.generate(PROMPT, Limits(20), lambda: False, sampling=settings)
        return [token for step in steps for token in step.tokens]

    engine = world.engine(TREE, 99)
    first = [answer(engine, seed) for seed in range(5)]
    engine.remember("elsewhere", [*PROMPT, *first[0], *PROMPT, *first[1]])
    list(engine.generate(PROMPT, Limits(9), lambda: False))
    assert [answer(engine, seed) for seed in range(5)] == first
    assert [answer(world.engine(TREE, 99), seed) for seed in range(5)] == first
    assert len({tuple(one) for one in first}) == 5
    assert len({tuple(answer(engine, None)) for _ in range(5)}) == 5


def test_a_pair_of_transformers(tmp_path: Path, world: World) -> None:
    twin = save_family("qwen2", tmp_path / "target", seed=1)
    save_family("qwen2", tmp_path / "draft", seed=1)
    world_of_two = World()
    world_of_two.target = load_tiny(tmp_path / "target")
    world_of_two.draft = load_tiny(tmp_path / "draft")
    settings = Sampling(2.0, top_k=3)
    expected: dict[object, float] = {}
    with torch.inference_mode():
        row = twin(torch.tensor([PROMPT])).logits[0, -1]
        for first, p in chances(row, settings, b"", world.healing):
            below = twin(torch.tensor([[*PROMPT, first]])).logits[0, -1]
            for second, q in chances(below, settings, b"", world.healing):
                expected[first, second] = p * q
    engine = world_of_two.engine(TREE, 99)
    found: Counter[object] = Counter()
    for seed in range(700):
        chance = Sampling(2.0, top_k=3, seed=seed)
        steps = engine.generate(PROMPT, Limits(3), lambda: False, sampling=chance)
        found[tuple([token for step in steps for token in step.tokens][:2])] += 1
    assert p_value(found, expected) > 1e-3
