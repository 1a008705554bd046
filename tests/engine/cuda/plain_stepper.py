"""The slow twin of `cuda.stepper.Stepper`: the same steps in plain torch, one after the other."""

import torch
from torch import Tensor

from umbrella_engine.cuda.device_loop import Start
from umbrella_engine.cuda.shapes import TreeShape
from umbrella_engine.language_model import ForwardPass


class Done:
    """A step that has already run."""

    def __init__(self, tokens: list[int], log_probs: list[float]) -> None:
        self._found = tokens, log_probs

    def read(self) -> tuple[list[int], list[float]]:
        return self._found


class PlainStepper:
    """A target and perhaps a draft, on any device that the plain decoder knows."""

    def __init__(self, target: ForwardPass, draft: ForwardPass | None) -> None:
        self._target, self._draft = target, draft
        self.owner: object = None
        self._start = Start(1, 0, 0, 0, 0)

    def begin(self, start: Start, owner: object) -> None:
        self._start, self.owner = start, owner

    def step(self, shape: TreeShape) -> Done:
        at = self._start
        tokens, parents = self._grow(shape) if shape.depth else ([at.root], [-1])
        mask = ancestors(parents)
        logits = self._run(self._target, tokens, at.length + mask.sum(1) - 1, at.lane, mask).cpu()
        choices = logits.argmax(-1).tolist()
        chances = logits.log_softmax(-1).max(-1).values.tolist()
        row, path = 0, list[int]()
        while True:
            below = [
                node
                for node in range(1, len(tokens))
                if parents[node] == row and tokens[node] == choices[row]
            ]
            if not below:
                break
            row = below[0]
            path.append(row)
        rows = [0, *path]
        if shape.depth:
            slots = [at.length + node for node in path]
            for model, lane in ((self._target, at.lane), (self._draft, at.draft_lane)):
                if model is not None:
                    model.cache.compact(lane, slots, at.length + 1)
        length = at.length + len(rows)
        self._start = Start(length, choices[row], tokens[row], at.lane, at.draft_lane)
        return Done([choices[each] for each in rows], [chances[each] for each in rows])

    def _grow(self, shape: TreeShape) -> tuple[list[int], list[int]]:
        """Give tokens and parents by row, the root first."""
        assert self._draft is not None
        at = self._start
        tokens, parents, scores = [at.root], [-1], [0.0]
        both = torch.ones(2, 2, dtype=torch.bool).tril()
        positions = torch.tensor([at.length - 1, at.length])
        logits = self._draft.forward(
            torch.tensor([at.before, at.root]), positions, at.draft_lane, at.length - 1, both, 1
        )
        above = [0]
        for level in range(shape.depth):
            if level:
                first = above[0]
                mask = ancestors(parents)[first:]
                positions = at.length + mask.sum(1) - 1
                ids = torch.tensor(tokens[first:])
                start = at.length + first
                logits = self._draft.forward(ids, positions, at.draft_lane, start, mask, 0)
            total = (
                logits.cpu().log_softmax(-1) + torch.tensor([scores[row] for row in above])[:, None]
            )
            best, places = total.flatten().topk(shape.width)
            owners = [above[place // total.shape[1]] for place in places.tolist()]
            above = list(range(len(tokens), len(tokens) + shape.width))
            tokens += [place % total.shape[1] for place in places.tolist()]
            parents += owners
            scores += best.tolist()
        return tokens, parents

    def _run(
        self, model: ForwardPass, tokens: list[int], positions: Tensor, lane: int, mask: Tensor
    ) -> Tensor:
        return model.forward(
            torch.tensor(tokens), positions, lane, self._start.length, mask, first_row=0
        )


def ancestors(parents: list[int]) -> Tensor:
    """Which rows each row sees: [rows, rows] bool; the root is row 0."""
    mask = torch.eye(len(parents), dtype=torch.bool)
    for row, parent in enumerate(parents):
        if parent >= 0:
            mask[row] |= mask[parent]
    return mask
