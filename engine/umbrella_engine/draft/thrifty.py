"""Free guesses always, dear ones where they pay: the choice of each step.

What free sources promise is known before the draft model is asked. It is asked when what it would
add, going by what it brought of late, is worth more than its passes. While it is not asked it is
tried again every now and then, so that it comes back when the text suits it. Everything follows
from the history of requests, nothing from clocks.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from umbrella_engine.draft import Checkpoint, Draft, Drafter
from umbrella_engine.draft.merge import merge
from umbrella_engine.healing import Healing
from umbrella_engine.shape.costs import Prices
from umbrella_engine.tree import ROOT, Tree

PROBE_STEPS = 16  # without being asked, then the draft model is tried
MEMORY = 0.97  # of a proposal's weight is left after the next one: about 30 of them count
PRIOR = 10.0  # proposals as expected before the first one


class Thrift:
    """Whether the draft model pays, from what its proposals of late brought and cost."""

    def __init__(self, prices: Prices, depth: int) -> None:
        self._prices = prices
        tokens, price = prices.outlook(prices.first, depth)
        self._proposals, self._tokens, self._price = PRIOR, PRIOR * tokens, PRIOR * price
        self._steps_without = 0

    def asks(self, promised: Tree) -> bool:
        """Tell whether to ask the draft model beside what is `promised` for free."""
        self._steps_without += 1
        gain = _gain(promised, self._tokens / self._proposals)
        pays = gain > self._price / self._proposals
        if pays or self._steps_without >= PROBE_STEPS:
            self._steps_without = 0
            return True
        return False

    def judge(self, tree: Tree, tokens: Sequence[int]) -> None:
        """Hold the draft model's proposal against the tokens settled with it."""
        if not len(tree):
            return
        self._proposals = MEMORY * self._proposals + 1
        self._tokens = MEMORY * self._tokens + len(tree.follow(tokens[:-1]))
        # a level for a pass; how wide its passes were is not known here
        self._price = MEMORY * self._price + max(tree.depths) * self._prices.reading()


def _gain(promised: Tree, tokens: float) -> float:
    """Tokens that a source of `tokens` a step adds to a promised tree.

    All of them where the promise is broken at once, what reaches beyond it where it is kept.
    """
    kept, length, chances = 0.0, 0.0, list[float]()
    for parent, probability in zip(promised.parents, promised.probabilities, strict=True):
        chances.append(probability * (1.0 if parent == ROOT else chances[parent]))
        kept += probability if parent == ROOT else 0.0
        length += chances[-1]
    kept = min(1.0, kept)
    beyond = max(0.0, tokens - length / kept) if kept else 0.0
    return (1 - kept) * tokens + kept * beyond


class ThriftyDrafter:
    """A free drafter and a dear one, merged where both are asked."""

    def __init__(
        self,
        free: Drafter,
        dear: Drafter,
        thrift: Thrift,
        max_nodes: int,
        healing: Healing,
        prices: Prices,
    ) -> None:
        self._free = free
        self._dear = dear
        self._thrift = thrift
        self._budget = max_nodes, healing, prices

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft of both; see `Drafter`."""
        with ExitStack() as stack:
            free = stack.enter_context(self._free.begin(ids))
            dear = stack.enter_context(self._dear.begin(ids))
            yield ThriftyDraft(free, dear, self._thrift, *self._budget)


class ThriftyDraft:
    """The drafts of one request."""

    def __init__(
        self,
        free: Draft,
        dear: Draft,
        thrift: Thrift,
        max_nodes: int,
        healing: Healing,
        prices: Prices,
    ) -> None:
        self._free = free
        self._dear = dear
        self._thrift = thrift
        self._max_nodes = max_nodes
        self._healing = healing
        self._prices = prices
        self._latest = Tree()  # of the dear draft

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Give the free guesses, with those of the draft model where it is asked; see `Draft`."""
        tree = self._free.propose(room, owed, checkpoint)
        self._latest = Tree()
        if room <= 0 or not self._thrift.asks(tree):
            return tree
        self._latest = self._dear.propose(room, owed, checkpoint)
        return merge([tree, self._latest], self._max_nodes, owed, self._healing, self._prices)

    def accept(self, tokens: Sequence[int]) -> None:
        """Judge the draft model's guesses and tell both."""
        self._thrift.judge(self._latest, tokens)
        self._latest = Tree()
        self._free.accept(tokens)
        self._dear.accept(tokens)
