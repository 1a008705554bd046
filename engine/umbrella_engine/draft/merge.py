"""Several drafters, one tree: equal prefixes are shared, one budget of nodes bounds the whole."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from umbrella_engine.draft import Checkpoint, Draft, Drafter
from umbrella_engine.healing import Healing
from umbrella_engine.tree import ROOT, Tree


def merge(trees: Sequence[Tree], max_nodes: int, owed: bytes, healing: Healing) -> Tree:
    """Join trees by shared prefix, level by level, earlier trees first within a level.

    Nodes that break the promise `owed` are left out with everything below them, and so are nodes
    beyond `max_nodes`.
    """
    merged = Tree()
    placed = [{ROOT: (ROOT, owed)} for _ in trees]  # node → (node in `merged`, owed after it)
    deepest = max((depth for tree in trees for depth in tree.depths), default=0)
    for level in range(1, deepest + 1):
        for tree, known in zip(trees, placed, strict=True):
            for node, token in enumerate(tree.tokens):
                if tree.depths[node] != level or tree.parents[node] not in known:
                    continue
                parent, debt = known[tree.parents[node]]
                after = healing.after(debt, token) if debt else debt
                is_new = merged.child(parent, token) is None
                if after is not None and not (is_new and len(merged) >= max_nodes):
                    known[node] = (merged.add(token, parent, tree.sources[node]), after)
    return merged


class MergedDrafter:
    """Asks several drafters and verifies their guesses together."""

    def __init__(self, drafters: Sequence[Drafter], max_nodes: int, healing: Healing) -> None:
        self._drafters = drafters
        self._max_nodes = max_nodes
        self._healing = healing

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft of every drafter; see `Drafter`."""
        with ExitStack() as stack:
            drafts = [stack.enter_context(drafter.begin(ids)) for drafter in self._drafters]
            yield MergedDraft(drafts, self._max_nodes, self._healing)


class MergedDraft:
    """The drafts of one request."""

    def __init__(self, drafts: Sequence[Draft], max_nodes: int, healing: Healing) -> None:
        self._drafts = drafts
        self._max_nodes = max_nodes
        self._healing = healing

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Merge what each draft proposes; see `Draft`."""
        trees = [draft.propose(room, owed, checkpoint) for draft in self._drafts]
        return merge(trees, self._max_nodes, owed, self._healing)

    def accept(self, tokens: Sequence[int]) -> None:
        """Tell every draft."""
        for draft in self._drafts:
            draft.accept(tokens)
