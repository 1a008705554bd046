"""A small model of the same vocabulary grows a tree level by level.

Each level keeps the `width` likeliest candidates by cumulative log-probability, wherever in the
tree they hang (batched best-first growth, SpecExec, arXiv 2406.02532); width 1 is a chain. A level
costs one forward pass of the draft model, the first of which also reads what the target settled
since the last proposal.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from umbrella_engine.config import DraftConfig
from umbrella_engine.draft import Checkpoint, Draft
from umbrella_engine.healing import Healing
from umbrella_engine.language_model import Context, LanguageModel
from umbrella_engine.tree import ROOT, Tree


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that could become a node."""

    score: float  # cumulative log-probability from the root
    parent: int
    token: int
    debt: bytes | None  # owed after this token


class ModelDrafter:
    """A resident draft model."""

    def __init__(self, model: LanguageModel, config: DraftConfig, healing: Healing) -> None:
        self._model = model
        self._config = config
        self._healing = healing

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft in a lane that shares as much of `ids` as any; see `Drafter`."""
        with self._model.open(ids) as context:
            yield ModelDraft(context, ids, self._config, self._healing)


class ModelDraft:
    """The draft model's state for one request."""

    def __init__(
        self, context: Context, ids: Sequence[int], config: DraftConfig, healing: Healing
    ) -> None:
        self._context = context
        self._unread = list(ids[context.length :])  # settled, not yet read by the draft model
        self._config = config
        self._healing = healing
        self._tree = Tree()
        self._evaluated = 0  # the first so many nodes of the tree lie in scratch slots

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Grow a tree of at most `model_depth` levels; see `Draft`."""
        self._tree = tree = Tree()
        self._evaluated = 0
        depth = min(self._config.model_depth, room)
        if depth <= 0:
            return tree
        self._unread = self._context.prefill(self._unread, checkpoint)
        checkpoint()
        logits = self._context.evaluate(self._unread, tree)
        self._unread = []
        scores, debts = [0.0], [owed]
        parents = [ROOT]
        while True:
            level = self._best(logits, parents, scores, debts)
            parents = [tree.add(c.token, c.parent, source="model") for c in level]
            if not level or tree.depths[parents[0]] == depth:
                return tree
            scores = [c.score for c in level]
            debts = [c.debt or b"" for c in level]
            checkpoint()
            logits = self._context.evaluate([], tree, first_node=self._evaluated)
            self._evaluated = len(tree)

    def accept(self, tokens: Sequence[int]) -> None:
        """Keep the part of the tree that the target agreed with; the rest is read next time.

        The last token is always read again: the next tree hangs below its logits.
        """
        tree, path, node = self._tree, [], ROOT
        for token in tokens[:-1]:
            below = tree.child(node, token)
            if below is None or below >= self._evaluated:
                break
            path.append(below)
            node = below
        self._context.keep(tree, path)
        self._unread.extend(tokens[len(path) :])
        self._tree, self._evaluated = Tree(), 0

    def _best(
        self,
        logits: Tensor,
        parents: Sequence[int],
        scores: Sequence[float],
        debts: Sequence[bytes],
    ) -> list[Candidate]:
        """Give the `width` best children of the latest level. logits: [parents, vocab]."""
        width = self._config.model_width
        candidates: list[Candidate] = []
        log_probs = logits.float().log_softmax(dim=-1)
        best, tokens = log_probs.topk(width, dim=-1)
        rows = zip(parents, scores, debts, best.tolist(), tokens.tolist(), strict=True)
        for row, (parent, score, debt, row_best, row_tokens) in enumerate(rows):
            if debt:
                row_best, row_tokens = self._best_allowed(log_probs[row], debt)
            candidates += [
                Candidate(
                    score + value, parent, token, self._healing.after(debt, token) if debt else b""
                )
                for value, token in zip(row_best, row_tokens, strict=True)
            ]
        candidates.sort(key=lambda c: c.score, reverse=True)
        return candidates[:width]

    def _best_allowed(self, log_probs: Tensor, debt: bytes) -> tuple[list[float], list[int]]:
        """Give the best tokens of one row that keep the promise, log-probabilities first."""
        allowed = torch.tensor(self._healing.allowed(debt), device=log_probs.device)
        width = min(self._config.model_width, len(allowed))
        best, places = log_probs[allowed].log_softmax(dim=-1).topk(width)
        return best.tolist(), allowed[places].tolist()
