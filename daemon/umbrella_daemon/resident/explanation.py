"""How an answer was written, for a person: every drafted tree, and what was kept of it.

Takes what the engine noted, gives text. Knows nothing of which of it is shown.
"""

from umbrella_daemon.wire import Node, VerifiedTree
from umbrella_engine.interface import Tokenizer
from umbrella_engine.stats import Stats, Verified


def explanation(stats: Stats, tokenizer: Tokenizer) -> tuple[VerifiedTree, ...]:
    """Give the trees in the order in which they were verified; none where nobody asked for them."""
    return tuple(_tree(one, tokenizer) for one in stats.verified or ())


def _tree(verified: Verified, tokenizer: Tokenizer) -> VerifiedTree:
    tree, kept = verified.tree, set(verified.path)
    nodes = tuple(
        Node(_text(token, tokenizer), parent, source, place in kept)
        for place, (token, parent, source) in enumerate(
            zip(tree.tokens, tree.parents, tree.sources, strict=True)
        )
    )
    return VerifiedTree(nodes, _text(verified.bonus, tokenizer))


def _text(token: int, tokenizer: Tokenizer) -> str:
    """Spell a token; a part of a character shows as U+FFFD, a control token as nothing."""
    return tokenizer.token_bytes(token).decode(errors="replace")
