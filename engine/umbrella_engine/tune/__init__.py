"""Measures a pair on this machine and on code like the user's, and chooses how to draft.

The target writes into holes of source files; the draft's guesses are held against what it wrote;
passes are timed; every preset then drafts the same texts again, or writes them again where a device
takes the steps by itself. Time is shared between the three parts, so that slow machines see fewer
texts, not a longer wait.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar, get_args

import msgspec

from umbrella_engine.config import DraftConfig
from umbrella_engine.cuda.captured import Captured
from umbrella_engine.draft import presets
from umbrella_engine.drafting import make_drafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.errors import EngineError
from umbrella_engine.interface import Limits, Progress, Report
from umbrella_engine.load import Models
from umbrella_engine.shape import Shape, defaults
from umbrella_engine.shape.calibration import Calibration
from umbrella_engine.shape.choice import Plan, Preset, fastest, predict
from umbrella_engine.shape.costs import Costs, Prices
from umbrella_engine.shape.tuning import Subject, Tuning
from umbrella_engine.tune.acceptance import Guesses
from umbrella_engine.tune.corpus import holes
from umbrella_engine.tune.replay import Trial
from umbrella_engine.tune.running import race
from umbrella_engine.tune.timing import measure

TEXT_TOKENS: Final = 48
FEWEST_TEXTS: Final = 3
MOST_TEXTS: Final = 60
SHARES: Final = {"texts": 0.45, "passes": 0.2, "trials": 0.35}  # of the time there is
WITHOUT_DRAFT: Final = ("suffix",)  # presets that differ from `none` without a draft model
PRESETS: Final = get_args(Preset)
WITH_DRAFT: Final = tuple(one for one in PRESETS if one != "none")

MESSAGES: Final = {
    "texts": "the target writes into holes",
    "passes": "forward passes are timed",
    "trials": "every preset drafts the same texts",
}

Text = tuple[list[int], list[int]]  # a prompt and what the target wrote after it
ItemT = TypeVar("ItemT")


class Tuner:
    """One measurement of a resident pair."""

    def __init__(
        self,
        models: Models,
        config: DraftConfig,
        seconds: float,
        report: Report,
        captured: Captured | None = None,
    ) -> None:
        """Measure `models`; `captured` are all `PRESETS` of a device that steps by itself."""
        self._models = models
        self._captured = captured
        self._config = msgspec.structs.replace(config, enabled=True, preset="auto")
        self._seconds = seconds
        self._report = report

    def run(self, subject: Subject, folder: Path) -> Tuning:
        """Measure on the source files below `folder`. Raises EngineError where there are none."""
        texts = self._write_texts(folder)
        guesses = Guesses()
        if self._models.draft is not None:
            for prompt, text in texts:
                guesses.read(self._models.draft, prompt, text)
        rates = guesses.rates
        costs = self._time_passes(texts[0][0])
        predicted = predict(
            rates or (0.0,), costs, self._config.max_nodes, self._config.model_depth
        )
        calibration = guesses.calibration()
        costs, plans = self._try_presets(texts, costs, fastest(predicted), rates, calibration)
        return Tuning(
            subject=subject,
            date=datetime.now().astimezone().isoformat(timespec="seconds"),
            acceptance=rates,
            calibration=calibration,
            costs=costs,
            plans=tuple(plans),
            chosen=fastest(plans),
            tree=next((plan.shape for plan in predicted if plan.preset == "static"), Shape()),
        )

    def _write_texts(self, folder: Path) -> list[Text]:
        """Let the target fill holes; drafted as the settings say, which changes no text."""
        models = self._models
        drafter = make_drafter(
            self._config, models.draft, models.healing, models.tokenizer, assumed=models.assumed
        )
        engine = SpeculativeEngine(
            models.info, models.tokenizer, models.target, drafter, models.healing
        )
        limits = Limits(TEXT_TOKENS, models.tokenizer.stop_ids)
        texts: list[Text] = []
        for prompt in self._while_time("texts", holes(folder, models.tokenizer)):
            steps = engine.generate(prompt, limits, lambda: False)
            text = [token for step in steps for token in step.tokens]
            if text:
                texts.append((prompt, text))
        if not texts:
            raise EngineError(
                f"the target wrote nothing into the files of {folder}; nothing was changed. Name "
                "a folder with code"
            )
        return texts

    def _time_passes(self, prompt: list[int]) -> Costs:
        models = [one for one in (self._models.target, self._models.draft) if one is not None]
        share = self._seconds * SHARES["passes"] / len(models)
        curves = []
        for place, model in enumerate(models):

            def advanced(part: float, done: int = place) -> None:
                self._tell("passes", (done + part) / len(models))

            curves.append(measure(model, prompt, share, advanced))
        return Costs(curves[0], curves[1] if len(curves) > 1 else None)

    def _try_presets(
        self,
        texts: list[Text],
        costs: Costs,
        pace: Plan,
        rates: tuple[float, ...],
        calibration: Calibration,
    ) -> tuple[Costs, list[Plan]]:
        """Replay the texts with every preset; give the costs with the host's share, and plans."""
        models, config = self._models, self._config
        parts = presets.Parts(
            config=config,
            healing=models.healing,
            tokenizer=models.tokenizer,
            costs=costs,
            prices=Prices(costs, 1 / pace.ms_per_token, rates[0] if rates else 0.0),
            acceptance=rates or defaults.ACCEPTANCE,
            calibration=calibration,
            model=models.draft,
        )
        names: tuple[Preset, ...] = WITHOUT_DRAFT if models.draft is None else WITH_DRAFT
        if self._captured is not None:
            return costs, self._run_presets(texts, parts, ("none", *names), self._captured)
        # each has a memory of its own: what one has seen must not help another
        trials = [Trial(name, presets.make(name, parts)) for name in names]
        for prompt, text in self._while_time("trials", iter(texts)):
            for trial in trials:
                trial.replay(prompt, text, models.draft)
        free = next(trial for trial in trials if trial.preset == "suffix")
        costs = msgspec.structs.replace(costs, step_ms=free.seconds * 1e3 / len(free.steps))
        return costs, [
            Plan("none", 1.0, costs.target.at(1)),
            *(
                trial.plan(costs, parts.shape(trial.preset), config.model_depth, config.max_nodes)
                for trial in trials
            ),
        ]

    def _run_presets(
        self, texts: list[Text], parts: presets.Parts, names: Sequence[Preset], captured: Captured
    ) -> list[Plan]:
        """Let presets write the texts again on a device that takes the steps by itself."""
        contest = race(self._models, captured, parts, names)
        for prompt, text in self._while_time("trials", iter(texts)):
            contest.run(prompt, len(text))
        config = self._config
        return [one.plan(config.model_depth, config.max_nodes) for one in contest.runners]

    def _while_time(self, part: str, items: Iterator[ItemT]) -> Iterator[ItemT]:
        """Give items as long as the part's share of the time lasts."""
        limit = self._seconds * SHARES[part]
        began = time.monotonic()
        for done, item in enumerate(items):
            spent = time.monotonic() - began
            self._tell(part, min(1.0, max(spent / limit, done / MOST_TEXTS)))
            if done >= MOST_TEXTS or (done >= FEWEST_TEXTS and spent > limit):
                return
            yield item

    def _tell(self, part: str, fraction: float) -> None:
        """Report how much of the whole is done, in percent."""
        earlier = 0.0
        for name, share in SHARES.items():
            if name == part:
                break
            earlier += share
        percent = round(100 * (earlier + SHARES[part] * fraction))
        self._report(Progress("tuning", MESSAGES[part], percent, 100))
