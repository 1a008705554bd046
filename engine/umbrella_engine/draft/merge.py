"""Several drafters, one tree: equal prefixes are shared and all sources compete for one budget.

What a source thinks likely is what it competes by: the merged tree keeps the nodes with the largest
product of probabilities along their path, as many as are worth verifying. The likeliest chain comes
first in node order, so that accepting all of it moves no keys and values.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from umbrella_engine.draft import Checkpoint, Draft, Drafter
from umbrella_engine.healing import Healing
from umbrella_engine.shape.costs import FREE, Prices
from umbrella_engine.tree import ROOT, Tree


def merge(
    trees: Sequence[Tree], max_nodes: int, owed: bytes, healing: Healing, prices: Prices = FREE
) -> Tree:
    """Join trees by shared prefix and keep the best nodes, at most `max_nodes`.

    Nodes that break the promise `owed` are left out with everything below them. Where sources
    contradict each other, so that siblings are likelier than 1 together, each is scaled down.
    """
    union = _join(trees, owed, healing)
    chances = _chances(union)
    # stable: among equally likely nodes parents stay before their children
    best = sorted(range(len(union)), key=lambda node: -chances[node])[:max_nodes]
    count = prices.worth_verifying([chances[node] for node in best])
    merged = _chain_first(union, best[:count])
    for tree in trees:
        for source, seconds in tree.seconds.items():
            merged.seconds[source] = merged.seconds.get(source, 0.0) + seconds
    return merged


class MergedDrafter:
    """Asks several drafters and verifies their guesses together."""

    def __init__(
        self,
        drafters: Sequence[Drafter],
        max_nodes: int,
        healing: Healing,
        prices: Prices = FREE,
    ) -> None:
        self._drafters = drafters
        self._max_nodes = max_nodes
        self._healing = healing
        self._prices = prices

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft of every drafter; see `Drafter`."""
        with ExitStack() as stack:
            drafts = [stack.enter_context(drafter.begin(ids)) for drafter in self._drafters]
            yield MergedDraft(drafts, self._max_nodes, self._healing, self._prices)


class MergedDraft:
    """The drafts of one request."""

    def __init__(
        self, drafts: Sequence[Draft], max_nodes: int, healing: Healing, prices: Prices
    ) -> None:
        self._drafts = drafts
        self._max_nodes = max_nodes
        self._healing = healing
        self._prices = prices

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Merge what each draft proposes; see `Draft`."""
        trees = [draft.propose(room, owed, checkpoint) for draft in self._drafts]
        return merge(trees, self._max_nodes, owed, self._healing, self._prices)

    def accept(self, tokens: Sequence[int]) -> None:
        """Tell every draft."""
        for draft in self._drafts:
            draft.accept(tokens)


def _join(trees: Sequence[Tree], owed: bytes, healing: Healing) -> Tree:
    """Share equal prefixes; leave out what breaks the promise."""
    union = Tree()
    debts = {ROOT: owed}  # by node of the union
    for tree in trees:
        place = {ROOT: ROOT}
        for node, token in enumerate(tree.tokens):
            parent = place.get(tree.parents[node])
            if parent is None:
                continue
            debt = debts[parent]
            after = healing.after(debt, token) if debt else debt
            if after is not None:
                new = union.add(token, parent, tree.sources[node], tree.probabilities[node])
                place[node] = new
                debts[new] = after
    return union


def _chances(tree: Tree) -> list[float]:
    """Give the product of probabilities down to each node."""
    together: dict[int, float] = {}
    for parent, probability in zip(tree.parents, tree.probabilities, strict=True):
        together[parent] = together.get(parent, 0.0) + probability
    chances: list[float] = []
    for parent, probability in zip(tree.parents, tree.probabilities, strict=True):
        above = 1.0 if parent == ROOT else chances[parent]
        chances.append(above * probability / max(1.0, together[parent]))
    return chances


def _chain_first(tree: Tree, nodes: Sequence[int]) -> Tree:
    """Give the tree of these nodes, parents before children, the likeliest chain ahead of all.

    `nodes` are best first, so the first child met below a node is its likeliest.
    """
    favourite: dict[int, int] = {}
    for node in nodes:
        favourite.setdefault(tree.parents[node], node)
    line = [favourite[ROOT]] if favourite else []
    while line and line[-1] in favourite:
        line.append(favourite[line[-1]])
    ahead = set(line)
    ordered = Tree()
    place = {ROOT: ROOT}
    for node in (*line, *(node for node in nodes if node not in ahead)):
        place[node] = ordered.add(
            tree.tokens[node],
            place[tree.parents[node]],
            tree.sources[node],
            tree.probabilities[node],
        )
    return ordered
