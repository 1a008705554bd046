"""How sure the model is of a growing answer, and how much of it is sure enough to show.

The probability that the model gives an answer, token after token, is taken for the probability that
it is right. It only falls as the answer grows, so one threshold decides both: where it is crossed
in the first line, nothing is shown; where it is crossed later, the lines before are. Promises: what
is kept has at least the wanted probability, in whole lines or as a whole; an answer that is shown
is also shown, as far as it goes on, when its beginning is typed. Knows no model and no rules of
text.
"""

import math


class Confidence:
    """Follows one answer. `least` is the smallest probability that is shown; 0 shows all."""

    def __init__(self, least: float) -> None:
        self._floor = math.log(least) if least > 0 else -math.inf
        self._sum = 0.0

    @property
    def probability(self) -> float:
        """Of all tokens so far, between 0 and 1."""
        return math.exp(self._sum)

    def holds(self, logprob: float) -> bool:
        """Take the next token; tell whether the answer with it is sure enough."""
        self._sum += logprob
        return self._sum >= self._floor


def whole_lines(text: str) -> str:
    """Give the lines of `text` that are complete, with their line breaks; "" if all are blank."""
    lines = text[: text.rfind("\n") + 1]
    return lines if lines.strip() else ""
