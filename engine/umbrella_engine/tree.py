"""The draft tree as plain data: no torch, no policy.

A tree hangs below a *root*: the last committed token, which is not itself a node. Node `i` has
token `tokens[i]` and parent `parents[i]`, where -1 is the root; parents come before children. The
ancestors of a node are one Python int used as a bit set, bit `j` for node `j`, the node itself
included: the words an attention kernel reads are slices of it. `probabilities[i]` is how likely its
proposer thinks the node right once its parent is: the product along a path is what drafts compete
by.
"""

from collections.abc import Iterable, Sequence

ROOT = -1


class Tree:
    """Drafted tokens below a root; grows by `add`, shares equal prefixes."""

    __slots__ = (
        "_children",
        "ancestors",
        "depths",
        "parents",
        "probabilities",
        "seconds",
        "sources",
        "tokens",
    )

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.depths: list[int] = []  # children of the root have depth 1
        self.ancestors: list[int] = []
        self.sources: list[str] = []  # who proposed the node first
        self.probabilities: list[float] = []  # of the node given its parent, 0 … 1
        self.seconds: dict[str, float] = {}  # what each source took to propose its part
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def add(
        self, token: int, parent: int = ROOT, source: str = "", probability: float = 1.0
    ) -> int:
        """Give the index of the node `token` below `parent`, adding it where it is new.

        A node proposed again keeps its first source and the larger probability.
        """
        known = self._children.get((parent, token))
        if known is not None:
            self.probabilities[known] = max(self.probabilities[known], probability)
            return known
        if not ROOT <= parent < len(self.tokens):
            raise ValueError(f"parent {parent} is not in a tree of {len(self.tokens)} nodes")
        node = len(self.tokens)
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(1 if parent == ROOT else self.depths[parent] + 1)
        above = 0 if parent == ROOT else self.ancestors[parent]
        self.ancestors.append(above | (1 << node))
        self.sources.append(source)
        self.probabilities.append(probability)
        self._children[parent, token] = node
        return node

    def add_chain(
        self,
        tokens: Iterable[int],
        parent: int = ROOT,
        source: str = "",
        probability: float = 1.0,
    ) -> int:
        """Add tokens one below the other, each as likely given the one before it.

        Gives the last node's index (`parent` if there is no token).
        """
        for token in tokens:
            parent = self.add(token, parent, source, probability)
        return parent

    def child(self, parent: int, token: int) -> int | None:
        """Index of the child of `parent` that holds `token`."""
        return self._children.get((parent, token))

    def follow(self, tokens: Iterable[int]) -> list[int]:
        """Node indices that `tokens` lead along from the root, as far as they are in the tree."""
        found: list[int] = []
        node = ROOT
        for token in tokens:
            below = self.child(node, token)
            if below is None:
                break
            found.append(below)
            node = below
        return found

    def path(self, node: int) -> list[int]:
        """Node indices from the root's child down to `node`."""
        found: list[int] = []
        while node != ROOT:
            found.append(node)
            node = self.parents[node]
        return found[::-1]

    def path_tokens(self, node: int) -> list[int]:
        """Tokens from the root's child down to `node`."""
        return [self.tokens[i] for i in self.path(node)]


def chain(tokens: Sequence[int], source: str = "", probability: float = 1.0) -> Tree:
    """Build a tree without branches."""
    tree = Tree()
    tree.add_chain(tokens, source=source, probability=probability)
    return tree
