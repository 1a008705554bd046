"""The law with a device that steps by itself, its steps computed by the slow twin."""

import dataclasses
from typing import Any, get_args

import pytest

from tests.engine.cuda.plain_stepper import PlainStepper
from tests.engine.tiny import load_tiny
from tests.law import Scenario, World, law
from umbrella_engine import Stats
from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.cuda.choice import Bet, Choice, Seen, choice_for
from umbrella_engine.cuda.device_loop import DeviceLoop, Start
from umbrella_engine.cuda.shapes import PLAIN, TreeShape, shapes_of
from umbrella_engine.device_steps import HostSteps
from umbrella_engine.draft import presets
from umbrella_engine.draft.none import NoDrafter
from umbrella_engine.draft.references import References
from umbrella_engine.draft.texts import Texts
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.interface import EngineInfo, Limits
from umbrella_engine.language_model import Context
from umbrella_engine.shape.choice import Preset

WILD = (
    PLAIN,
    TreeShape(1),
    TreeShape(2, 1, (3,)),
    TreeShape(2, 2),
    TreeShape(0, 1, (4, 2)),
    TreeShape(4, 4, (10, 5)),
)
DEVICE_PRESETS = get_args(Preset)


class WildChoice(Choice):
    """Another shape every step, whatever it costs."""

    def __init__(self, seed: int) -> None:
        super().__init__(dict.fromkeys(WILD, 1.0), WILD)
        self._turn = seed

    def next(self) -> Bet:
        self._turn = (self._turn * 5 + 3) % 64
        return Bet(WILD[self._turn % len(WILD)], 0)


class DeviceWorld(World):
    """The law's world with a device loop in every engine."""

    def engine(self, scenario: Scenario) -> SpeculativeEngine:
        references = References(scenario.draft.suffix_min_match, max_tokens=100)
        parts = self._parts(scenario, "near", references)
        options: dict[str, Any] = {"capacity": 460, "chunk_tokens": 8}
        target = load_tiny(self.folder / "target", **options)
        draft = load_tiny(self.folder / "near", lanes=16, **options)
        choice: Choice = WildChoice(len(scenario.order))
        if scenario.thrifty:
            seed = sum(len(requests) for requests in scenario.rounds) + len(scenario.order)
            choice = choice_of(DEVICE_PRESETS[seed % len(DEVICE_PRESETS)], scenario.draft)
        least = scenario.draft.suffix_min_match
        stepper = PlainStepper(target.decoder, draft.decoder, least=least)
        texts = Texts(self.tokenizer.fim, references)
        return SpeculativeEngine(
            info=EngineInfo("tiny", "target", "near", "cpu", "float32", 256),
            tokenizer=self.tokenizer,
            target=target,
            drafter=presets.make("adaptive", dataclasses.replace(parts, model=None)),
            healing=self.healing,
            references=references,
            device=DeviceLoop(stepper, draft, choice, texts),
        )


def choice_of(preset: DraftPreset, config: DraftConfig) -> Choice:
    """A preset's choice at costs as on a GPU: levels are dear, rows are cheap."""
    shapes = shapes_of(preset, config)
    costs = {shape: 1.0 + shape.depth / 4 + shape.n_nodes / 200 for shape in (PLAIN, *shapes)}
    return choice_for(preset, costs, shapes)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DeviceWorld:
    return DeviceWorld(tmp_path_factory.mktemp("device"))


def test_the_law(world: DeviceWorld) -> None:
    law(world, 80)()


def settle_too_much(self: Context, ids: Any) -> None:
    settle(self, [*ids, 7])


settle = Context.settle


def believe_copies(self: PlainStepper, shape: TreeShape) -> Any:
    done = step(self, shape)
    tokens, _, seen = done.read()
    if len(shape.copied) and seen.copied < seen.settled and self._copies:
        tokens[-1] = self._copies[0][0]
    return done


step = PlainStepper.step


def test_the_law_notices_a_copy_that_nobody_judged(
    world: DeviceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlainStepper, "step", believe_copies)
    with pytest.raises(AssertionError):
        law(world, 60)()


def test_the_law_notices_a_settled_token_too_many(
    world: DeviceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "settle", settle_too_much)
    with pytest.raises((AssertionError, IndexError)):
        law(world, 60)()


def engine_of(world: DeviceWorld, **costs: float) -> SpeculativeEngine:
    target = load_tiny(world.folder / "target", capacity=460, chunk_tokens=8)
    draft = load_tiny(world.folder / "near", capacity=460, chunk_tokens=8)
    chain = TreeShape(4)
    choice = Choice({PLAIN: costs["plain"], chain: costs["chain"]}, (PLAIN, chain))
    texts = Texts(None, References())
    info = EngineInfo("tiny", "target", "near", "cpu", "float32", 256)
    loop = DeviceLoop(PlainStepper(target.decoder, draft.decoder), draft, choice, texts)
    return SpeculativeEngine(info, world.tokenizer, target, NoDrafter(), world.healing, device=loop)


def test_a_draft_that_follows_the_text_saves_steps(world: DeviceWorld) -> None:
    ids, stats = [3, 1, 4, 1, 5, 9, 2, 6], {"plain": Stats(), "chain": Stats()}
    texts = {}
    for name, costs in {"plain": (1.0, 99.0), "chain": (1.0, 1.0)}.items():
        engine = engine_of(world, plain=costs[0], chain=costs[1])
        steps = engine.generate(ids, Limits(24), lambda: False, stats=stats[name])
        texts[name] = [token for step in steps for token in step.tokens]
    assert texts["plain"] == texts["chain"]
    assert stats["plain"].target_steps == 24
    assert stats["plain"].drafted_tokens == 0
    assert stats["chain"].target_steps < 24
    drafted = stats["chain"].drafted_at["model"]
    assert len(drafted) == 4
    assert len(set(drafted)) == 1  # every step drafts every level
    assert sum(stats["chain"].accepted_at["model"]) == stats["chain"].accepted_tokens > 0


def test_what_the_device_settled_is_reused(world: DeviceWorld) -> None:
    engine = engine_of(world, plain=1.0, chain=1.0)
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    steps = engine.generate(ids, Limits(20), lambda: False)
    text = [token for step in steps for token in step.tokens]
    stats = Stats()
    list(engine.generate([*ids, *text[:15]], Limits(1), lambda: False, stats=stats))
    assert stats.reused_tokens == len(ids) + 14


def test_log_probabilities_are_those_of_the_host(world: DeviceWorld) -> None:
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    engine = engine_of(world, plain=1.0, chain=1.0)
    plain = dataclasses.replace(engine, device=HostSteps())
    ours, hosts = (
        [
            chance
            for step in each.generate(ids, Limits(12), lambda: False)
            for chance in step.logprobs
        ]
        for each in (engine, plain)
    )
    assert ours == pytest.approx(hosts, abs=1e-4)


def by_turns(engine: SpeculativeEngine) -> list[list[int]]:
    """Two answers, a step of one after a step of the other."""
    prompts = [3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8]
    running = [engine.generate(ids, Limits(20), lambda: False) for ids in prompts]
    texts: list[list[int]] = [[], []]
    for _ in range(20):
        for text, steps in zip(texts, running, strict=True):
            step = next(steps, None)
            text += step.tokens if step else ()
    return texts


def test_requests_that_take_turns_do_not_mix(
    world: DeviceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(world, plain=1.0, chain=1.0)
    expected = by_turns(dataclasses.replace(engine, device=HostSteps()))
    assert by_turns(engine_of(world, plain=1.0, chain=1.0)) == expected

    def begin(self: PlainStepper, start: Start, owner: object) -> None:
        self._start, self.owner = start, self.owner or owner

    monkeypatch.setattr(PlainStepper, "begin", begin)  # the first owner never learns of the second
    assert by_turns(engine_of(world, plain=1.0, chain=1.0)) != expected


@pytest.mark.parametrize("seed", range(4))
def test_a_draft_equal_to_its_target_is_always_right(world: DeviceWorld, seed: int) -> None:
    """Whatever came between: copies, plain steps, waits, other requests."""
    models = [
        load_tiny(world.folder / "target", capacity=460, chunk_tokens=8, lanes=4) for _ in "td"
    ]
    known: list[tuple[Bet, Seen]] = []

    class Watched(WildChoice):
        def learn(self, bet: Bet, seen: Seen) -> None:
            known.append((bet, seen))

    choice = Watched(seed)
    texts = Texts(None, References())
    loop = DeviceLoop(PlainStepper(models[0].decoder, models[1].decoder), models[1], choice, texts)
    info = EngineInfo("tiny", "target", "near", "cpu", "float32", 256)
    engine = SpeculativeEngine(
        info, world.tokenizer, models[0], NoDrafter(), world.healing, device=loop
    )
    answers = by_turns(engine)
    assert answers == by_turns(dataclasses.replace(engine, device=HostSteps()))
    chains = [(bet.shape, found) for bet, found in known if bet.shape.width == 1]
    assert sum(shape.depth > 0 for shape, _ in chains) > 2
    assert all(found.drafted == shape.depth for shape, found in chains)
    # deeper down in a tree, the likeliest token of a node may be too unlikely a path
    assert all(found.drafted > 0 for bet, found in known if bet.shape.depth)


def test_copies_of_what_was_told_save_steps(world: DeviceWorld) -> None:
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    target = load_tiny(world.folder / "target", capacity=460, chunk_tokens=8)
    info = EngineInfo("tiny", "target", "", "cpu", "float32", 256)
    references = References()
    texts = Texts(None, references)
    loop = DeviceLoop(
        PlainStepper(target.decoder, None), None, choice_of("suffix", DraftConfig()), texts
    )
    engine = SpeculativeEngine(
        info, world.tokenizer, target, NoDrafter(), world.healing, device=loop
    )
    engine = dataclasses.replace(engine, references=references)
    plain = dataclasses.replace(engine, device=HostSteps())
    truth = [t for step in plain.generate(ids, Limits(24), lambda: False) for t in step.tokens]
    engine.remember("told", [9, *ids, *truth, 8])
    stats = Stats()
    steps = engine.generate(ids, Limits(24), lambda: False, stats=stats)
    assert [token for step in steps for token in step.tokens] == truth
    assert stats.target_steps < 8
    assert stats.accepted_by["suffix"] == stats.accepted_tokens > 16
    assert stats.drafted_at["suffix"][0] >= stats.accepted_at["suffix"][0]
