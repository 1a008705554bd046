"""A small model of the same vocabulary grows a tree, pass by pass.

Each pass reads the guesses that the growth asks for (see `growth`); the first reads what the target
settled since the last proposal. Probabilities are calibrated before the growth sees them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.draft.growth import Candidate, Growth
from umbrella_engine.healing import Healing
from umbrella_engine.language_model import Context, LanguageModel
from umbrella_engine.shape.calibration import IDENTITY, Calibration
from umbrella_engine.tree import ROOT, Tree

SOURCE = "model"
TINY = 1e-30


class ModelDrafter:
    """A resident draft model."""

    def __init__(
        self,
        model: LanguageModel,
        growth: Growth,
        healing: Healing,
        calibration: Calibration = IDENTITY,
    ) -> None:
        self._model = model
        self._growth = growth
        self._healing = healing
        self._calibration = calibration

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft in a lane that shares as much of `ids` as any; see `Drafter`."""
        with self._model.open(ids) as context:
            yield ModelDraft(context, ids, self._growth, self._healing, self._calibration)


class ModelDraft:
    """The draft model's state for one request."""

    def __init__(
        self,
        context: Context,
        ids: Sequence[int],
        growth: Growth,
        healing: Healing,
        calibration: Calibration,
    ) -> None:
        self._context = context
        self._unread = list(ids[context.length :])  # settled, not yet read by the draft model
        self._growth = growth
        self._healing = healing
        self._calibration = calibration
        self._read = Tree()  # guesses that the draft model has read: they lie in scratch slots

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Grow a tree of at most `room` levels; see `Draft`."""
        self._read = read = Tree()
        if room <= 0:
            return Tree()
        began = time.perf_counter()
        sprout = self._growth.sprout(room)
        self._unread = self._context.prefill(self._unread, checkpoint)
        checkpoint()
        logits = self._context.evaluate(self._unread, read)
        self._unread = []
        batch = sprout.take(self._candidates(logits, [None], [owed]))
        while batch:
            first = len(read)
            for one in batch:
                one.node = read.add(one.token, one.parent.node if one.parent else ROOT)
            checkpoint()
            logits = self._context.evaluate([], read, first_node=first)
            batch = sprout.take(self._candidates(logits, batch, [one.debt for one in batch]))
        tree = _offered(sprout.kept())
        tree.seconds[SOURCE] = time.perf_counter() - began
        return tree

    def accept(self, tokens: Sequence[int]) -> None:
        """Keep what was read and the target agreed with; the rest is read next time.

        The last token is always read again: the next tree hangs below its logits.
        """
        path = self._read.follow(tokens[:-1])
        self._context.keep(self._read, path)
        self._unread.extend(tokens[len(path) :])
        self._read = Tree()

    def _candidates(
        self, logits: Tensor, parents: Sequence[Candidate | None], debts: Sequence[bytes]
    ) -> list[list[Candidate]]:
        """Give the likeliest candidates below each parent, best first. logits: [parents, vocab]."""
        probabilities = logits.float().softmax(dim=-1)
        best, tokens = probabilities.topk(self._growth.branches, dim=-1)
        calibrated = self._calibration(best.double().cpu().numpy())
        below = []
        for row, (parent, debt) in enumerate(zip(parents, debts, strict=True)):
            if debt:
                below.append(self._owed_candidates(probabilities[row], parent, debt))
            else:
                pairs = zip(tokens[row].tolist(), calibrated[row].tolist(), strict=True)
                below.append([Candidate(token, chance, parent) for token, chance in pairs])
        return below

    def _owed_candidates(
        self, probabilities: Tensor, parent: Candidate | None, debt: bytes
    ) -> list[Candidate]:
        """Give the likeliest candidates of one row among the tokens that keep the promise."""
        allowed = torch.tensor(self._healing.allowed(debt), device=probabilities.device)
        among = probabilities[allowed]
        best, places = (among / among.sum().clamp_min(TINY)).topk(
            min(self._growth.branches, len(allowed))
        )
        pairs = zip(allowed[places].tolist(), best.tolist(), strict=True)
        return [
            Candidate(token, probability, parent, self._healing.after(debt, token) or b"")
            for token, probability in pairs
        ]


def _offered(kept: Sequence[Candidate]) -> Tree:
    """Give the tree of these candidates, parents before children."""
    tree = Tree()
    place: dict[int, int] = {}
    for one in kept:
        parent = place[id(one.parent)] if one.parent else ROOT
        place[id(one)] = tree.add(one.token, parent, SOURCE, one.probability)
    return tree
