"""What the engine wrote for one prompt. No engine, no rules."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Written:
    """One answer: its text, without what was owed, and the tokens that it took.

    `raw` is all that was written, also beyond the place where the rules end `text`; its first
    `begun` characters were given to the engine, the rest is the engine's own. `ended` says that
    the engine ended it by itself. `probability` is that of all its tokens, or of those up to the
    one at which it was no longer sure enough; `doubted` says that nothing of it is. `late` says
    that its time was up: asked again, the engine might say more. `pieces` are the parts of `raw`
    that tokens spell, with the logarithms of their probabilities.
    """

    text: str
    tokens: list[int] = field(default_factory=list)
    raw: str = ""
    begun: int = 0
    ended: bool = False
    probability: float = 1.0
    doubted: bool = False
    late: bool = False
    pieces: tuple[tuple[str, float], ...] = ()
