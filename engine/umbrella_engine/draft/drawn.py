"""A draft model whose guesses are drawn by chance, for requests that sample.

The tree grows as the model's tree for greedy requests does; only, the candidates below a node are
drawn one after the other from the draft's own distribution, without replacement, and `Draws` keeps
what the walk needs to judge them. Every request has drafts of its own that learn from its text
alone, so that equal seeds give equal answers whatever happened before.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from torch import Tensor

from umbrella_engine.draft import Checkpoint, Draft, Drafter
from umbrella_engine.draft.growth import Candidate, Growth, StaticGrowth
from umbrella_engine.draft.merge import MergedDrafter
from umbrella_engine.draft.model import ModelDraft
from umbrella_engine.draft.none import NoDrafter
from umbrella_engine.draft.presets import Parts
from umbrella_engine.draft.retyped import RetypedDrafter
from umbrella_engine.draft.suffix import SuffixDrafter
from umbrella_engine.healing import Healing
from umbrella_engine.language_model import Context, LanguageModel
from umbrella_engine.sampling import Draws
from umbrella_engine.shape.calibration import IDENTITY
from umbrella_engine.tree import Tree

# How often the draw of each rank is taken, as a part of all: Qwen2.5-Coder 1.5B with its 0.5B,
# five holes in library code at temperatures 0.2, 0.8 and 1, 374 first draws.
TAKEN = (0.83, 0.06, 0.02, 0.01)


def drawing(parts: Parts) -> Callable[[Draws], Drafter]:
    """Give what makes the drafter of each request that samples."""
    if not parts.config.enabled:
        return lambda _: NoDrafter()
    shape = replace(parts, acceptance=TAKEN).shape("static")
    growth = StaticGrowth(shape) if shape.parents else None

    def drafter(draws: Draws) -> Drafter:
        drafters: list[Drafter] = [RetypedDrafter(parts.tokenizer)]
        if parts.model is not None and growth is not None:
            drafters.append(DrawnDrafter(parts.model, growth, parts.healing, draws))
        if parts.config.suffix_tokens > 0:
            fim = parts.tokenizer.fim
            drafters.append(SuffixDrafter(parts.config, parts.healing, fim))
        return MergedDrafter(drafters, parts.config.max_nodes, parts.healing, parts.prices)

    return drafter


@dataclass(frozen=True, slots=True)
class DrawnDrafter:
    """A resident draft model and the chances of one request."""

    model: LanguageModel
    growth: Growth
    healing: Healing
    draws: Draws

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft in a lane that shares as much of `ids` as any; see `Drafter`."""
        with self.model.open(ids) as context:
            yield DrawnDraft(context, ids, self.growth, self.healing, self.draws)


class DrawnDraft(ModelDraft):
    """The draft model's state for one request that samples."""

    def __init__(
        self,
        context: Context,
        ids: Sequence[int],
        growth: Growth,
        healing: Healing,
        draws: Draws,
    ) -> None:
        super().__init__(context, ids, growth, healing, IDENTITY)
        self._draws = draws

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Grow a tree of drawn tokens; see `Draft`."""
        self._draws.begin_tree()
        return super().propose(room, owed, checkpoint)

    def _candidates(
        self, logits: Tensor, parents: Sequence[Candidate | None], debts: Sequence[bytes]
    ) -> list[list[Candidate]]:
        """Draw candidates below each parent, in the order of drawing. logits: [parents, vocab]."""
        count = min(self._growth.branches, len(TAKEN))
        below = []
        for row, (parent, debt) in enumerate(zip(parents, debts, strict=True)):
            drawn = self._draws.draw(logits[row], _path(parent), count, debt)
            below.append(
                [
                    Candidate(token, taken, parent, self._after(debt, token))
                    for token, taken in zip(drawn, TAKEN, strict=False)
                ]
            )
        return below

    def _after(self, debt: bytes, token: int) -> bytes:
        return self._healing.after(debt, token) or b"" if debt else b""


def _path(candidate: Candidate | None) -> tuple[int, ...]:
    """Tokens from the root's child down to `candidate`."""
    tokens: list[int] = []
    while candidate is not None:
        tokens.append(candidate.token)
        candidate = candidate.parent
    return tuple(reversed(tokens))
