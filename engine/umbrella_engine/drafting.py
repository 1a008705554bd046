"""From settings and a tuning to the drafter in force: its parts, its preset."""

from umbrella_engine.config import DraftConfig
from umbrella_engine.draft import Drafter, presets
from umbrella_engine.draft.references import References
from umbrella_engine.healing import Healing
from umbrella_engine.interface import Tokenizer
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.shape import defaults
from umbrella_engine.shape.calibration import IDENTITY
from umbrella_engine.shape.choice import Preset
from umbrella_engine.shape.costs import Costs
from umbrella_engine.shape.tuning import Tuning


def make_drafter(
    config: DraftConfig,
    draft_model: LanguageModel | None,
    healing: Healing,
    tokenizer: Tokenizer,
    *,
    tuning: Tuning | None = None,
    assumed: Costs | None = None,
) -> Drafter:
    """Put together the drafter that the settings ask for; see `make_parts`."""
    parts = make_parts(config, draft_model, healing, tokenizer, tuning=tuning, assumed=assumed)
    return presets.make(choose_preset(config, tuning), parts)


def make_parts(
    config: DraftConfig,
    draft_model: LanguageModel | None,
    healing: Healing,
    tokenizer: Tokenizer,
    *,
    tuning: Tuning | None = None,
    assumed: Costs | None = None,
) -> presets.Parts:
    """Gather what drafters are made of.

    `assumed` are the costs that hold while there is no `tuning`; without them, those of a small
    draft model on a CPU.
    """
    share = None if draft_model is None else defaults.SHARE
    costs = tuning.costs if tuning else assumed or defaults.costs("cpu", share)
    limits = config.max_nodes, config.model_depth
    return presets.Parts(
        config=config,
        healing=healing,
        tokenizer=tokenizer,
        costs=costs,
        prices=tuning.prices if tuning else defaults.prices(costs, *limits),
        acceptance=(tuning.acceptance if tuning else ()) or defaults.ACCEPTANCE,
        calibration=tuning.calibration if tuning else IDENTITY,
        model=draft_model,
        references=References(config.suffix_min_match),
    )


def choose_preset(config: DraftConfig, tuning: Tuning | None) -> Preset:
    """Give the preset in force."""
    if not config.enabled:
        return "none"
    if config.preset != "auto":
        return config.preset
    return tuning.chosen.preset if tuning else "adaptive"
