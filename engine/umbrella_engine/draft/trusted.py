"""A free source whose word is weighed by how often it has been right of late.

Every proposal is held against the tokens that the target settled afterwards, whether its nodes were
verified or not. A source that promises more than it keeps competes with smaller probabilities, so
that its nodes stop being worth a place in the tree; once it is right again they come back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from umbrella_engine.draft import Checkpoint, Draft, Drafter
from umbrella_engine.tree import ROOT, Tree

MEMORY = 0.98  # of a guess's weight is left after the next one: about 50 guesses count
PRIOR = 10.0  # guesses that agreed with their probabilities before the first one


class Trust:
    """How often guesses were right against how often they were to be."""

    def __init__(self) -> None:
        self._promised = self._right = PRIOR

    @property
    def factor(self) -> float:
        """What a promised probability is worth."""
        return self._right / self._promised

    def judge(self, tree: Tree, tokens: Sequence[int]) -> None:
        """Hold a proposal against settled tokens, as far down as they agree."""
        node = ROOT
        promised = [0.0] * (len(tree) + 1)  # by children of a node, the root's last
        for parent, probability in zip(tree.parents, tree.probabilities, strict=True):
            promised[parent] += probability
        for token in tokens:
            below = tree.child(node, token)
            if promised[node]:
                self._promised = MEMORY * self._promised + min(1.0, promised[node])
                self._right = MEMORY * self._right + (below is not None)
            if below is None:
                return
            node = below


class TrustedDrafter:
    """A drafter with a memory of how good it was, over all requests."""

    def __init__(self, drafter: Drafter) -> None:
        self._drafter = drafter
        self._trust = Trust()

    @contextmanager
    def begin(self, ids: Sequence[int]) -> Iterator[Draft]:
        """Open a draft; see `Drafter`."""
        with self._drafter.begin(ids) as draft:
            yield TrustedDraft(draft, self._trust)


class TrustedDraft:
    """The guesses for one request, weighed."""

    def __init__(self, draft: Draft, trust: Trust) -> None:
        self._draft = draft
        self._trust = trust
        self._latest = Tree()

    def propose(self, room: int, owed: bytes, checkpoint: Checkpoint) -> Tree:
        """Give the proposal with probabilities as they have proven; see `Draft`."""
        self._latest = tree = self._draft.propose(room, owed, checkpoint)
        factor = self._trust.factor
        weighed = Tree()
        for node, token in enumerate(tree.tokens):
            probability = min(1.0, tree.probabilities[node] * factor)
            weighed.add(token, tree.parents[node], tree.sources[node], probability)
        weighed.seconds = tree.seconds
        return weighed

    def accept(self, tokens: Sequence[int]) -> None:
        """Judge the latest proposal and pass the tokens on."""
        self._trust.judge(self._latest, tokens)
        self._latest = Tree()
        self._draft.accept(tokens)
