"""The ways of drafting by name, each put together from the same parts.

Every drafter but that of `none` may spell healed text and say what was there before, which is free;
the presets differ in what they ask besides. Knows no device and no file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from umbrella_engine.config import DraftConfig
from umbrella_engine.draft import Drafter
from umbrella_engine.draft.growth import DynamicGrowth, Growth, StaticGrowth
from umbrella_engine.draft.merge import MergedDrafter
from umbrella_engine.draft.model import ModelDrafter
from umbrella_engine.draft.none import NoDrafter
from umbrella_engine.draft.previous import PreviousDrafter
from umbrella_engine.draft.references import References
from umbrella_engine.draft.retyped import RetypedDrafter
from umbrella_engine.draft.suffix import SuffixDrafter
from umbrella_engine.draft.thrifty import Thrift, ThriftyDrafter
from umbrella_engine.draft.trusted import TrustedDrafter
from umbrella_engine.healing import Healing
from umbrella_engine.interface import Tokenizer
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.shape import Shape
from umbrella_engine.shape.calibration import IDENTITY, Calibration
from umbrella_engine.shape.choice import Preset, predict
from umbrella_engine.shape.costs import FREE, Costs, Prices

ASKING_THE_MODEL = frozenset({"auto", "chain", "static", "dynamic", "merged", "adaptive"})


@dataclass(frozen=True, slots=True)
class Parts:
    """What drafters are made of."""

    config: DraftConfig
    healing: Healing
    tokenizer: Tokenizer
    costs: Costs
    prices: Prices
    acceptance: Sequence[float]  # of the draft model's ranks
    calibration: Calibration = IDENTITY
    model: LanguageModel | None = None
    references: References = field(default_factory=References)

    def shape(self, preset: Preset) -> Shape:
        """Give the best chain or static tree for the measured costs within the settings' limits."""
        limits = self.config.max_nodes, self.config.model_depth
        plans = {plan.preset: plan for plan in predict(self.acceptance, self.costs, *limits)}
        return plans[preset].shape if preset in plans else Shape()


def make(preset: Preset, parts: Parts) -> Drafter:
    """Put together the drafter of that name; without a draft model its part is left out."""
    return _MAKERS[preset](parts)


def _none(_: Parts) -> Drafter:
    return NoDrafter()


def _chain(parts: Parts) -> Drafter:
    return _merged(parts, [_retyped(parts), *_grown(parts, "chain")], FREE)


def _static(parts: Parts) -> Drafter:
    return _merged(parts, [_retyped(parts), *_grown(parts, "static")], FREE)


def _dynamic(parts: Parts) -> Drafter:
    return _merged(parts, [_retyped(parts), *_grown(parts, "dynamic")], parts.prices)


def _suffix(parts: Parts) -> Drafter:
    return _merged(parts, _free(parts), parts.prices)


def _everything(parts: Parts) -> Drafter:
    return _merged(parts, [*_free(parts), *_grown(parts, "dynamic")], parts.prices)


def _adaptive(parts: Parts) -> Drafter:
    """Free guesses weighed by how they did of late, the draft model where it pays."""
    free: Drafter = _merged(parts, [TrustedDrafter(one) for one in _free(parts)], parts.prices)
    for dear in _grown(parts, "dynamic"):
        thrift = Thrift(parts.prices, parts.config.model_depth)
        limits = parts.config.max_nodes, parts.healing, parts.prices
        free = ThriftyDrafter(free, dear, thrift, *limits)
    return free


_MAKERS: dict[Preset, Callable[[Parts], Drafter]] = {
    "none": _none,
    "chain": _chain,
    "static": _static,
    "dynamic": _dynamic,
    "suffix": _suffix,
    "merged": _everything,
    "adaptive": _adaptive,
}


def _merged(parts: Parts, drafters: Sequence[Drafter], prices: Prices) -> Drafter:
    return MergedDrafter(drafters, parts.config.max_nodes, parts.healing, prices)


def _retyped(parts: Parts) -> Drafter:
    return RetypedDrafter(parts.tokenizer)


def _free(parts: Parts) -> list[Drafter]:
    """Give the drafters that cost next to nothing to ask."""
    drafters: list[Drafter] = [_retyped(parts), PreviousDrafter(parts.tokenizer)]
    if parts.config.suffix_tokens > 0:
        fim = parts.tokenizer.fim
        drafters.append(SuffixDrafter(parts.config, parts.healing, fim, parts.references))
    return drafters


def _grown(parts: Parts, preset: Preset) -> list[Drafter]:
    """Give the draft model with the growth of a preset; none without a model or without levels."""
    config = parts.config
    if parts.model is None or config.model_depth == 0:
        return []
    growth: Growth
    if preset == "dynamic":
        growth = DynamicGrowth(
            config.model_depth, config.model_width, config.max_nodes, parts.prices
        )
    else:
        growth = StaticGrowth(parts.shape(preset))
    return [ModelDrafter(parts.model, growth, parts.healing, parts.calibration)]
