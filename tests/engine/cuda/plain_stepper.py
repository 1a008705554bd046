"""The slow twin of `cuda.stepper.Stepper`: the same steps in plain torch, one after the other."""

from collections.abc import Sequence

import torch
from torch import Tensor

from umbrella_engine.cuda.choice import Seen
from umbrella_engine.cuda.device_loop import Start
from umbrella_engine.cuda.shapes import TreeShape
from umbrella_engine.language_model import ForwardPass

MOST_MATCHED = 16


class Done:
    """A step that has already run."""

    def __init__(self, tokens: list[int], log_probs: list[float], seen: Seen) -> None:
        self._found = tokens, log_probs, seen

    def read(self) -> tuple[list[int], list[float], Seen]:
        return self._found


class PlainStepper:
    """A target and perhaps a draft, on any device that the plain decoder knows."""

    def __init__(
        self, target: ForwardPass, draft: ForwardPass | None, branches: int = 2, least: int = 1
    ) -> None:
        self._target, self._draft = target, draft
        self._branches, self._least = branches, least
        self.owner: object = None
        self._start = Start(1, [0], 0, 0)
        self._text: list[int] = []
        self._copies: list[list[int]] = []  # what followed the longest matches

    def recall(self, text: Sequence[int]) -> int:
        self._text = list(text)
        return self._match()

    def begin(self, start: Start, owner: object) -> None:
        self._start, self.owner = start, owner

    def step(self, shape: TreeShape) -> Done:
        at = self._start
        tokens, parents = self._grow(shape) if shape.depth else ([at.root], [-1])
        for copy, length in zip(self._copies, shape.copied, strict=False):
            for place, token in enumerate(copy[:length]):
                parents.append(len(tokens) - 1 if place else 0)
                tokens.append(token)
        mask = ancestors(parents)
        logits = self._run(self._target, tokens, at.length + mask.sum(1) - 1, at.lane, mask).cpu()
        choices = logits.argmax(-1).tolist()
        chances = logits.log_softmax(-1).max(-1).values.tolist()
        ahead, path, drafted = [0], list[int](), 0
        while True:
            choice = choices[ahead[0]]
            ahead = [
                node
                for node in range(1, len(tokens))
                if parents[node] in ahead and tokens[node] == choice
            ]
            if not ahead:
                break
            path.append(ahead[0])
            drafted += ahead[0] <= shape.n_drafted
        rows = [0, *path]
        slots = [at.length + node for node in path]
        self._target.cache.compact(at.lane, slots, at.length + 1)
        settled = [choices[row] for row in rows]
        copied = max((agreed(copy, settled) for copy in self._copies), default=0)
        self._text += settled
        self._start = Start(at.length + len(rows), settled, at.lane, at.draft_lane)
        seen = Seen(len(settled), drafted, copied, self._match())
        return Done(settled, [chances[row] for row in rows], seen)

    def _match(self) -> int:
        """Find what followed earlier text that ends like the latest; give the length it shares."""
        text, found = self._text, list[tuple[int, int]]()
        for place in range(1, len(text)):
            length = 0
            while (
                length < min(MOST_MATCHED, place)
                and text[place - 1 - length] == text[-1 - length] >= 0
            ):
                length += 1
            if length >= self._least and text[place] >= 0:
                found.append((length, place))
        found.sort(reverse=True)
        copies: dict[int, list[int]] = {}  # by the first token
        for _, place in found:
            if text[place] not in copies and len(copies) < self._branches:
                end = text.index(-1, place) if -1 in text[place:] else len(text)
                copies[text[place]] = text[place:end]
        self._copies = list(copies.values())
        return found[0][0] if found and self._branches else 0

    def _grow(self, shape: TreeShape) -> tuple[list[int], list[int]]:
        """Give tokens and parents by row, the root first."""
        assert self._draft is not None
        at = self._start
        tokens, parents, scores = [at.root], [-1], [0.0]
        count = len(at.unread)
        first = at.length + 1 - count
        logits = self._draft.forward(
            torch.tensor(at.unread),
            torch.arange(first, at.length + 1),
            at.draft_lane,
            first,
            torch.ones(count, count, dtype=torch.bool).tril(),
            count - 1,
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


def agreed(copy: Sequence[int], settled: Sequence[int]) -> int:
    """How many tokens the copy foretold."""
    count = 0
    while count < min(len(copy), len(settled)) and copy[count] == settled[count]:
        count += 1
    return count


def ancestors(parents: list[int]) -> Tensor:
    """Which rows each row sees: [rows, rows] bool; the root is row 0."""
    mask = torch.eye(len(parents), dtype=torch.bool)
    for row, parent in enumerate(parents):
        if parent >= 0:
            mask[row] |= mask[parent]
    return mask
