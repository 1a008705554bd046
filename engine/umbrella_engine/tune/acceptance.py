"""How often the draft's guesses are right where the target has already spoken.

The draft model reads the target's own text; at each position its likeliest tokens are held against
the token that followed. All positions of one text take one forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from umbrella_engine.language_model import LanguageModel
from umbrella_engine.shape.calibration import Calibration, fit
from umbrella_engine.tree import chain

RANKS = 8


@dataclass(slots=True)
class Guesses:
    """What was guessed so far, and whether it was right."""

    positions: int = 0
    hits: list[int] = field(default_factory=lambda: [0] * RANKS)  # by rank
    said: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)

    def read(self, draft: LanguageModel, prompt: Sequence[int], text: Sequence[int]) -> None:
        """Guess every token of `text`, which the target wrote after `prompt`."""
        if not text:
            return
        with draft.open(prompt) as context:
            unread = context.prefill(prompt[context.length :], lambda: None)
            logits = context.evaluate(unread, chain(text[:-1]))
        best, tokens = logits.float().softmax(dim=-1).topk(RANKS, dim=-1)
        rows = zip(best.tolist(), tokens.tolist(), text, strict=True)
        for probabilities, guesses, token in rows:
            self.positions += 1
            self.said += probabilities
            self.right += [guess == token for guess in guesses]
            if token in guesses:
                self.hits[guesses.index(token)] += 1

    @property
    def rates(self) -> tuple[float, ...]:
        """Acceptance by rank; empty where nothing was guessed."""
        return tuple(hits / self.positions for hits in self.hits) if self.positions else ()

    def calibration(self) -> Calibration:
        """Fit the draft's probabilities to how often they were right."""
        return fit(self.said, self.right)
