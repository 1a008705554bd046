"""The steps of a pair as a device holds them, and what each preset makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.cuda.choice import choice_for
from umbrella_engine.cuda.device_loop import DeviceLoop, Steps
from umbrella_engine.cuda.shapes import TreeShape, shapes_of
from umbrella_engine.draft.texts import Texts
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.shape.defaults import ACCEPTANCE


@dataclass(frozen=True, slots=True)
class Captured:
    """What takes steps, the draft model that takes part, and what a step of each shape costs."""

    stepper: Steps
    draft: LanguageModel | None
    costs: Mapping[TreeShape, float]  # milliseconds
    config: DraftConfig

    def loop(
        self, preset: DraftPreset, texts: Texts, agreement: float = ACCEPTANCE[0]
    ) -> DeviceLoop:
        """Give the loop of a preset that was captured; it copies from `texts`.

        `agreement`: how often the draft's favourite is right, before more is known.
        """
        shapes = shapes_of(preset, self.config)
        choice = choice_for(preset, self.costs, shapes, agreement)
        return DeviceLoop(self.stepper, self.draft, choice, texts)
