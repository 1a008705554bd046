"""Trees that a device grows by itself: levels of the draft model's guesses, branches of copies.

Every shape is captured as a graph of its own, so there are few. A pass of the target takes nearly
as long for 16 or 32 rows as for 8, so copies fill up what the draft's levels leave free of the
next number of rows that the kernels are cut for.
"""

from dataclasses import dataclass, replace

from umbrella_engine.config import DraftConfig, DraftPreset


@dataclass(frozen=True, slots=True)
class TreeShape:
    """Levels of the draft's tree and nodes in each; a width of 1 is a chain, depth 0 no tree.

    `copied` are the lengths of the branches below the root that repeat earlier text.
    """

    depth: int
    width: int = 1
    copied: tuple[int, ...] = ()

    @property
    def n_drafted(self) -> int:
        """Nodes of the draft model."""
        return self.depth * self.width

    @property
    def n_nodes(self) -> int:
        """Nodes below the root."""
        return self.n_drafted + sum(self.copied)

    @property
    def longest(self) -> int:
        """Nodes of the longest path."""
        return max(self.depth, *self.copied, 0)


PLAIN = TreeShape(0)
COPIES = (TreeShape(0, 1, (10, 5)), TreeShape(0, 1, (16, 15)))
DRAFTS = (
    TreeShape(2, 1, (5,)),
    TreeShape(4, 1, (7, 4)),
    TreeShape(4, 4, (10, 5)),
    TreeShape(6, 4, (7,)),
    TreeShape(8, 3, (7,)),
    TreeShape(12, 2, (7,)),
)
# without copies: as many nodes as fill, with the root, 16 or 32 rows or nearly so
TREES = (TreeShape(3, 4), TreeShape(5, 3), TreeShape(7, 4), TreeShape(10, 3), TreeShape(12, 2))
FIXED = frozenset({"chain", "static"})  # presets that draft the same tree each step


def shapes_of(preset: DraftPreset, config: DraftConfig) -> tuple[TreeShape, ...]:
    """Give the trees that a preset allows; those which name one way of drafting always draft."""
    wanted = {
        "none": (),
        "chain": tuple(replace(shape, copied=()) for shape in DRAFTS if shape.width == 1),
        "static": TREES,
        "dynamic": TREES,
        "suffix": (PLAIN, *COPIES),
        "merged": tuple(shape for shape in DRAFTS if shape.width > 1),
    }.get(preset, (PLAIN, *COPIES, *DRAFTS))
    limited = (_limited(shape, config) for shape in wanted)
    allowed = tuple(dict.fromkeys(shape for shape in limited if _fits(shape, config)))
    return allowed or (PLAIN,)


def _limited(shape: TreeShape, config: DraftConfig) -> TreeShape:
    """Cut the copies to what the settings allow, and leave them out where there is no room."""
    lengths = (min(length, config.suffix_tokens) for length in shape.copied)
    cut = tuple(length for length in lengths if length)[: config.suffix_branches]
    limited = replace(shape, copied=cut)
    return limited if limited.n_nodes <= config.max_nodes else replace(shape, copied=())


def _fits(shape: TreeShape, config: DraftConfig) -> bool:
    within = shape.depth <= config.model_depth and shape.width <= config.model_width
    return (within or not shape.depth) and shape.n_nodes <= config.max_nodes
