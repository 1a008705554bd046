"""Several answers to one prompt: each equals plain greedy decoding after its first token."""

import random
from pathlib import Path

import pytest
import torch

from tests.engine.tiny import TinyTokenizer, load_tiny, plain_greedy, save_family
from umbrella_engine.config import DraftConfig
from umbrella_engine.drafting import make_drafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.errors import Cancelled, ContextOverflow
from umbrella_engine.healing import Healing
from umbrella_engine.interface import EngineInfo, Limits
from umbrella_engine.stats import Stats

IDS = list(range(40))
COUNT = 4
NEW = 8


class World:
    """An engine with a drafter that often errs, and the slow twin of its target."""

    def __init__(self, folder: Path) -> None:
        self._twin = save_family("qwen3", folder / "target", seed=1)
        save_family("llama", folder / "draft", seed=2)
        self.tokenizer = TinyTokenizer()
        self.healing = Healing(self.tokenizer)
        self.engine = SpeculativeEngine(
            info=EngineInfo("tiny", "target", "draft", "cpu", "float32", 128),
            tokenizer=self.tokenizer,
            target=load_tiny(folder / "target", chunk_tokens=8),
            drafter=make_drafter(
                DraftConfig(), load_tiny(folder / "draft"), self.healing, self.tokenizer
            ),
            healing=self.healing,
        )

    @torch.inference_mode()
    def logits(self, ids: object) -> torch.Tensor:
        logits: torch.Tensor = self._twin(torch.tensor([ids])).logits[0, -1]
        return logits

    def best(self, ids: list[int], owed: bytes) -> list[int]:
        """What the target prefers, read off the twin's logits one by one."""
        logits = self.logits(ids).tolist()
        allowed = list(range(len(logits)))
        if owed:
            allowed = [token for token in allowed if self.healing.after(owed, token) is not None]
        return sorted(allowed, key=lambda token: -logits[token])[:COUNT]

    def answer(self, ids: list[int], owed: bytes = b"", stats: Stats | None = None) -> list[int]:
        steps = self.engine.generate(ids, Limits(NEW), lambda: False, owed=owed, stats=stats)
        return [token for step in steps for token in step.tokens]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("owed", [b"", b"a", b"b\n", b"dcab"])
@pytest.mark.parametrize("seed", range(4))
def test_each_is_greedy_after_its_first_token(world: World, seed: int, owed: bytes) -> None:
    rng = random.Random(seed)
    ids = [rng.randrange(58) for _ in range(rng.randint(1, 30))]
    other = world.engine.generate([*ids, 5], Limits(NEW), lambda: False)
    begun = list(next(iter(other)).tokens)  # is in mid-answer meanwhile

    tokens = world.engine.alternatives(ids, COUNT, lambda: False, owed=owed)

    assert tokens == world.best(ids, owed)
    assert tokens[0] == world.answer(ids, owed)[0]
    for token in tokens:
        rest = (owed and world.healing.after(owed, token)) or b""
        expected = plain_greedy(world.logits, [*ids, token], NEW, rest, world.healing)
        assert world.answer([*ids, token], rest) == expected
    begun += [token for step in other for token in step.tokens]
    assert begun == plain_greedy(world.logits, [*ids, 5], NEW, b"", world.healing)


def test_no_more_than_the_owed_bytes_allow(world: World) -> None:
    letter = b"\n\n\n\n\n\n"
    fitting = world.healing.allowed(letter).tolist()
    tokens = world.engine.alternatives(IDS, 50, lambda: False, owed=letter)
    assert sorted(tokens) == fitting
    assert len(tokens) < 50


def test_what_is_cached_is_not_computed_again(world: World) -> None:
    world.answer([*IDS, 7])
    world.engine.alternatives([*IDS, 7], COUNT, lambda: False)
    stats = Stats()
    world.answer([*IDS, 7, 9], stats=stats)
    assert (stats.reused_tokens, stats.prefilled_tokens) == (41, 1)


def test_cancelling_stops_before_the_next_forward(world: World) -> None:
    ids = [50, *IDS]
    questions = 0

    def cancelled() -> bool:
        nonlocal questions
        questions += 1
        return questions > 2

    with pytest.raises(Cancelled):
        world.engine.alternatives(ids, COUNT, cancelled)
    stats = Stats()
    world.answer(ids, stats=stats)
    assert stats.reused_tokens == 16  # two chunks of eight


def test_what_does_not_fit_is_refused(world: World) -> None:
    with pytest.raises(ContextOverflow):
        world.engine.alternatives(IDS * 4, COUNT, lambda: False)
    with pytest.raises(ContextOverflow):
        world.engine.alternatives([], COUNT, lambda: False)
