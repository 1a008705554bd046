"""The law as a property: scenarios of requests, the engine's answers, the slow twin's answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast, get_args

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.chaos import RandomDrafter, SwitchingDrafter
from tests.engine.tiny import TinyTokenizer, load_tiny, plain_greedy, save_family
from umbrella_engine.config import DraftConfig
from umbrella_engine.draft import Drafter, presets
from umbrella_engine.draft.drawn import drawing
from umbrella_engine.draft.merge import MergedDrafter
from umbrella_engine.draft.none import NoDrafter
from umbrella_engine.draft.references import References
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.errors import Cancelled
from umbrella_engine.healing import Healing
from umbrella_engine.interface import GREEDY, EngineInfo, Limits, Sampling
from umbrella_engine.shape import defaults
from umbrella_engine.shape.calibration import Calibration
from umbrella_engine.shape.choice import Preset
from umbrella_engine.shape.costs import FREE, Prices

TEXT_TOKENS = 58  # the ids of TinyTokenizer that stand for text
FIM = TinyTokenizer.fim
LETTERS = "abcd \n"
NEVER = 10**9
PRESETS = get_args(Preset)
DRAFTERS = [
    *PRESETS,
    *(f"{preset} far" for preset in ("chain", "static", "dynamic", "adaptive")),
    "random",
    "merged with chaos",
    "switching",
]


@dataclass(frozen=True)
class Request:
    ids: tuple[int, ...]
    max_tokens: int
    owed: bytes
    cancel_at: int  # which question to `cancelled` is answered with yes
    close_at: int  # after how many steps the caller loses interest
    sampled: bool  # by chance, but of one token
    remembered: bool  # whether the engine is told beforehand what is to come, and what is not


@dataclass(frozen=True)
class Scenario:
    drafter: str
    draft: DraftConfig
    thrifty: bool  # whether guesses have prices
    rounds: tuple[tuple[Request, ...], ...]  # the requests of a round run interleaved
    order: tuple[int, ...]  # whose turn it is, again and again


class World:
    """One target, two drafts of it, and the slow twin with its memory.

    The near draft is of the target's `family`, its weights a little off; the far one of another.
    """

    def __init__(self, folder: Path, family: str = "qwen3", far: str = "llama") -> None:
        self.folder = folder
        self.twin = save_family(family, folder / "target", seed=1, num_hidden_layers=2)
        near = save_family(family, folder / "near", seed=1, num_hidden_layers=2)
        with torch.no_grad():
            for parameter in near.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.02)
        near.save_pretrained(folder / "near")
        save_family(far, folder / "far", seed=2, num_hidden_layers=1)
        self.tokenizer = TinyTokenizer()
        self.healing = Healing(self.tokenizer)
        self.truth = lru_cache(maxsize=None)(self._truth)

    @torch.inference_mode()
    def _next_logits(self, ids: Sequence[int]) -> torch.Tensor:
        logits: torch.Tensor = self.twin(torch.tensor([ids])).logits[0, -1]
        return logits

    def _truth(self, ids: tuple[int, ...], owed: bytes, n: int = 12) -> list[int]:
        return plain_greedy(self._next_logits, ids, n, owed, self.healing)

    def engine(self, scenario: Scenario) -> SpeculativeEngine:
        references = References(scenario.draft.suffix_min_match, max_tokens=100)
        sampled = any(request.sampled for requests in scenario.rounds for request in requests)
        parts = self._parts(scenario, "near", references) if sampled else None
        return SpeculativeEngine(
            info=EngineInfo("tiny", "target", scenario.drafter, "cpu", "float32", 256),
            tokenizer=self.tokenizer,
            target=load_tiny(self.folder / "target", capacity=320, chunk_tokens=8),
            drafter=self._drafter(scenario, references),
            healing=self.healing,
            drawing=drawing(parts) if parts else lambda _: NoDrafter(),
            references=references,
        )

    def _drafter(self, scenario: Scenario, references: References) -> Drafter:
        chaos = RandomDrafter(self.truth, seed=len(scenario.order))
        if scenario.drafter == "random":
            return chaos
        if scenario.drafter == "switching":
            parts = self._parts(scenario, "near", references)
            drafters = [presets.make(preset, parts) for preset in PRESETS]
            return SwitchingDrafter([*drafters, chaos], seed=len(scenario.order))
        if scenario.drafter == "merged with chaos":
            drafters = [presets.make("merged", self._parts(scenario, "far", references)), chaos]
            return MergedDrafter(drafters, scenario.draft.max_nodes, self.healing)
        preset, _, distance = scenario.drafter.partition(" ")
        return presets.make(
            cast(Preset, preset), self._parts(scenario, distance or "near", references)
        )

    def _parts(self, scenario: Scenario, name: str, references: References) -> presets.Parts:
        costs = defaults.costs("cpu", 0.1)
        rates = [0.6, 0.2, 0.1]
        return presets.Parts(
            config=scenario.draft,
            healing=self.healing,
            tokenizer=self.tokenizer,
            costs=costs,
            prices=Prices(costs, tokens_per_ms=1.5, first=0.6) if scenario.thrifty else FREE,
            acceptance=rates,
            calibration=Calibration((-6.0, 0.0, 6.0), (-3.0, 1.0, 7.0)),
            model=load_tiny(self.folder / name, lanes=16, capacity=320, chunk_tokens=8),
            references=references,
        )

    def remember(self, engine: SpeculativeEngine, name: str, request: Request) -> None:
        """Let the engine know a text that goes on as it should, and another way later on."""
        truth = self.truth(request.ids, request.owed)
        engine.remember(name, [*request.ids, *truth[:7], *request.ids, *truth[:3], *request.ids])


def check(world: World, scenario: Scenario) -> None:
    """Run a scenario and compare every answer with the slow twin, token for token."""
    engine = world.engine(scenario)
    for requests in scenario.rounds:
        for place, request in enumerate(requests):
            if request.remembered:
                world.remember(engine, str(place), request)
        answers: list[list[int]] = [[] for _ in requests]
        running = {
            place: run(engine, request, answers[place]) for place, request in enumerate(requests)
        }
        turn = 0
        while running:
            place = list(running)[scenario.order[turn % len(scenario.order)] % len(running)]
            turn += 1
            if next(running[place], None) is None:
                del running[place]
        for request, answer in zip(requests, answers, strict=True):
            expected = world.truth(request.ids, request.owed)[: request.max_tokens]
            complete = request.cancel_at == request.close_at == NEVER
            assert answer == (expected if complete else expected[: len(answer)])


def run(engine: SpeculativeEngine, request: Request, answer: list[int]) -> Iterator[bool]:
    """Collect one request's tokens, handing over after each step."""
    questions = 0

    def cancelled() -> bool:
        nonlocal questions
        questions += 1
        return questions > request.cancel_at

    steps = engine.generate(
        request.ids,
        Limits(request.max_tokens),
        cancelled,
        owed=request.owed,
        sampling=Sampling(1.5, top_k=1) if request.sampled else GREEDY,
    )
    try:
        for count, step in enumerate(steps):
            answer.extend(step.tokens)
            yield True
            if count + 1 >= request.close_at:
                break
    except Cancelled:
        assert request.cancel_at != NEVER
    steps.close()  # type: ignore[attr-defined]


def law(world: World, examples: int) -> Callable[[], None]:
    """The law over so many random scenarios, the same ones every time; call it to check them."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(scenarios())
    def holds(scenario: Scenario) -> None:
        check(world, scenario)

    return holds


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Documents that are typed into, cut, edited and asked about again."""
    tokens = st.integers(0, TEXT_TOKENS - 1)
    documents: list[list[int]] = [draw(st.lists(tokens, min_size=1, max_size=40))]
    rounds = []
    for _ in range(draw(st.integers(1, 4))):
        requests = []
        for _ in range(draw(st.integers(1, 3))):
            ids = list(draw(st.sampled_from(documents)))
            kind = draw(st.sampled_from(["same", "typed", "cut", "edited", "other", "hole"]))
            if kind == "typed":
                ids += draw(st.lists(tokens, min_size=1, max_size=12))
            elif kind == "cut":
                ids = ids[: draw(st.integers(1, len(ids)))]
            elif kind == "edited":
                ids[draw(st.integers(0, len(ids) - 1))] = draw(tokens)
            elif kind == "other":
                ids = draw(st.lists(tokens, min_size=1, max_size=40))
            elif kind == "hole":
                start, end = sorted(draw(st.integers(0, len(ids))) for _ in range(2))
                ids = [
                    FIM.prefix,
                    *ids[:start],
                    FIM.suffix,
                    *ids[end:],
                    FIM.middle,
                    *ids[start:end],
                ]
            documents.append(ids)
            requests.append(draw(request_for(tuple(ids))))
        rounds.append(tuple(requests))
    draft = DraftConfig(
        model_depth=draw(st.integers(1, 4)),
        model_width=draw(st.integers(1, 4)),
        suffix_min_match=draw(st.integers(1, 2)),
        max_nodes=draw(st.integers(1, 32)),
    )
    drafter = draw(st.sampled_from(DRAFTERS))
    order = draw(st.lists(st.integers(0, 2), min_size=1, max_size=6))
    return Scenario(drafter, draft, draw(st.booleans()), tuple(rounds), tuple(order))


def request_for(ids: tuple[int, ...]) -> st.SearchStrategy[Request]:
    rarely: Any = st.one_of(st.just(NEVER), st.just(NEVER), st.integers(1, 8))
    return st.builds(
        Request,
        ids=st.just(ids),
        max_tokens=st.integers(1, 12),
        owed=st.text(LETTERS, max_size=5).map(str.encode),
        cancel_at=rarely,
        close_at=rarely,
        sampled=st.sampled_from([False, False, True]),
        remembered=st.booleans(),
    )
