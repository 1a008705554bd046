"""Which tile each kernel uses, by number of rows and by shape. Measured on an H100; see NOTES.md.

A tile that is good for one shape is rarely bad for another of its size, so a few rules cover all
models: one row streams weights through plain multiplications, more rows through matrix units, and
a product with few output columns is split along its inner dimension to keep all processors busy.
"""

from dataclasses import dataclass, replace

from umbrella_engine.model_config import ModelConfig

PRESETS = (1, 8, 16, 32, 64)  # rows of a forward pass
MIN_COLUMNS = 16  # of a matrix instruction; a single row needs none


@dataclass(frozen=True, slots=True)
class Tile:
    """How one program cuts a product."""

    n: int  # weight rows of a program
    k: int  # inner dimension of one pass of its loop
    stages: int  # passes in flight
    warps: int
    splits: int = 1  # programs that share the inner dimension
    swap: bool = False  # weights as the left operand
    lines: int = 8  # of each weight row, 128 bytes each, fetched to L2 ahead of time
    early: bool = False  # let the next kernel start before this one has read its weights


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of one preset of rows."""

    qkv: Tile
    output: Tile
    gated: Tile
    down: Tile
    head: Tile


@dataclass(frozen=True, slots=True)
class Stretches:
    """How one program cuts the attention."""

    rows: int  # query heads times tokens
    slots: int  # slots of one pass of its loop
    stages: int
    warps: int
    splits: int  # stretches of the slots
    spared: int = 0  # slots' blocks that the last stretch, which has masks, does less than others
    merged: int = 0  # rows that one program joins in the end; 0: one query head of one token


ONE_ROW = Tiles(
    qkv=Tile(8, 1024, 1, 4),
    output=Tile(4, 1024, 1, 4, lines=64),
    gated=Tile(8, 512, 3, 4),
    down=Tile(4, 512, 4, 4),
    head=Tile(32, 256, 2, 4),
)
EIGHT_ROWS = Tiles(
    qkv=Tile(16, 256, 4, 1, swap=True),
    output=Tile(16, 256, 4, 1, swap=True),
    gated=Tile(32, 128, 4, 2, swap=True),
    down=Tile(32, 128, 6, 2, 4, swap=True),
    head=Tile(64, 128, 4, 4),
)
FEW_ROWS = Tiles(  # up to 16
    qkv=Tile(16, 256, 4, 2),
    output=Tile(16, 256, 4, 2),
    gated=Tile(64, 128, 4, 4, swap=True),
    down=Tile(64, 128, 4, 4, 4, swap=True),
    head=Tile(64, 128, 4, 4),
)
MANY_ROWS = Tiles(  # up to 32
    qkv=Tile(64, 64, 8, 4, swap=True),
    output=Tile(64, 128, 4, 4, 4, swap=True),
    gated=Tile(64, 128, 3, 4, swap=True),
    down=Tile(64, 128, 4, 4, 4, swap=True),
    head=Tile(128, 64, 6, 4, swap=True),
)
MOST_ROWS = Tiles(
    qkv=Tile(64, 64, 8, 4, swap=True),
    output=Tile(64, 128, 4, 4, 2, swap=True),
    gated=Tile(64, 64, 5, 4),
    down=Tile(64, 128, 3, 4, 4),
    head=Tile(128, 64, 6, 4, swap=True),
)
NORMED_HEADS = frozenset({"Qwen3ForCausalLM"})
SMALL = 1024  # hidden size up to which a model counts as small
LARGE = 3072  # and from which as large
PROCESSORS = 132  # of an H100
# what is different for models of these sizes, by preset
SMALL_CHANGES: dict[int, dict[str, Tile]] = {
    1: {
        "qkv": Tile(8, 128, 7, 2),
        "output": Tile(4, 1024, 1, 4, lines=64, early=True),
        "gated": Tile(16, 1024, 1, 4),
        "down": Tile(4, 256, 8, 4),
        "head": Tile(32, 128, 6, 4),
    },
    8: {"output": Tile(16, 256, 4, 2), "down": Tile(32, 128, 6, 4, 4)},
    16: {"down": Tile(32, 128, 6, 4, 4)},
    32: {"qkv": Tile(32, 64, 6, 4)},
    64: {"qkv": Tile(16, 128, 6, 4), "down": Tile(64, 64, 8, 4, 4, swap=True)},
}
MEDIUM_CHANGES: dict[int, dict[str, Tile]] = {
    1: {
        "qkv": Tile(4, 512, 3, 4),
        "output": Tile(4, 256, 4, 2, lines=32, early=True),
        "gated": Tile(8, 512, 3, 2),
        "down": Tile(4, 512, 4, 4, lines=16),
    },
    16: {
        "qkv": Tile(32, 128, 4, 4),
        "gated": Tile(64, 128, 3, 4),
        "down": Tile(64, 64, 8, 4, 4, swap=True),
    },
    32: {
        "qkv": Tile(32, 64, 6, 4),
        "output": Tile(64, 128, 4, 4, 2, swap=True),
        "gated": Tile(128, 64, 4, 4, swap=True),
    },
    64: {
        "qkv": Tile(16, 128, 6, 4),
        "output": Tile(64, 64, 8, 4, 4, swap=True),
        "gated": Tile(128, 64, 4, 4),
        "down": Tile(64, 64, 8, 4, 4, swap=True),
    },
}
LARGE_CHANGES: dict[int, dict[str, Tile]] = {
    1: {"qkv": Tile(8, 512, 2, 2)},
    8: {"gated": Tile(64, 128, 4, 4, swap=True)},
}


def preset_for(rows: int) -> int:
    """Give the smallest preset that holds so many rows."""
    return next(preset for preset in PRESETS if preset >= rows)


def obstacle(config: ModelConfig) -> str:
    """Say why the fused kernels cannot compute a model; "" if they can."""
    if config.head_dim not in {16, 32, 64, 128, 256}:
        return f"its heads have {config.head_dim} dimensions, not 16, 32, 64, 128 or 256"
    for name, size in (("hidden", config.hidden), ("inner", config.intermediate)):
        if size % MIN_COLUMNS:
            return f"its {name} size {size} is no multiple of {MIN_COLUMNS}"
    if config.window is not None and config.window < PRESETS[-1]:
        return f"its window of {config.window} tokens is shorter than a tree may be"
    return ""


def choose_tiles(config: ModelConfig, preset: int) -> Tiles:
    """Give the tiles for a preset of rows, cut down where the model is small."""
    tiles = _measured(config.hidden, preset)
    least = 4 if preset == 1 else MIN_COLUMNS
    if config.architecture in NORMED_HEADS:  # a program needs a whole head for its norm
        tiles = replace(tiles, qkv=Tile(config.head_dim, 64, 4, 8 if preset == 1 else 4))
    return Tiles(
        qkv=_fit(tiles.qkv, config.head_dim, config.hidden, least),
        output=_fit(tiles.output, config.hidden, config.n_heads * config.head_dim, least),
        gated=_fit(
            tiles.gated, config.intermediate * (2 if config.gated else 1), config.hidden, least
        ),
        down=_fit(tiles.down, config.hidden, config.intermediate, least),
        head=_fit(tiles.head, 0, config.hidden, least),
    )


def _measured(hidden: int, preset: int) -> Tiles:
    """Give what was fastest for models about this size."""
    base = {1: ONE_ROW, 8: EIGHT_ROWS, 16: FEW_ROWS, 32: MANY_ROWS, 64: MOST_ROWS}[preset]
    if hidden <= SMALL:
        return replace(base, **SMALL_CHANGES.get(preset, {}))
    if hidden < LARGE:
        return replace(base, **MEDIUM_CHANGES.get(preset, {}))
    return replace(base, **LARGE_CHANGES.get(preset, {}))


def passes_in_flight(tile: Tile, rows: int, itemsize: int, memory: int) -> int:
    """Give the tile's stages, or as many as `memory` bytes next to a processor hold."""
    return max(1, min(tile.stages, memory // ((tile.n + rows) * tile.k * itemsize)))


def blocks_in_flight(cut: Stretches, head_bytes: int, memory: int) -> int:
    """Give the stages of a cut of the attention, or as many as `memory` bytes hold."""
    left = memory - cut.rows * head_bytes  # the queries stay
    return max(1, min(cut.stages, left // (2 * cut.slots * head_bytes)))


def choose_stretches(config: ModelConfig, preset: int) -> Stretches:
    """Give the cut of the attention for a preset of rows."""
    rows = config.n_heads // config.n_kv_heads * preset
    if rows <= 16:
        return _one_row(config)
    if config.n_kv_heads <= 2:
        return _few_heads(rows, preset)
    if preset <= 8 and rows <= 32:
        return Stretches(32, 64, 2, 4, 32)
    if preset <= 16:
        return Stretches(64, 64, 3, 4, 16, spared=1)
    most = max(1, 2 * PROCESSORS // (-(-rows // 64) * config.n_kv_heads))
    if preset <= 32:
        return Stretches(64, 64, 3, 4, min(most, 8), spared=1, merged=8)
    return Stretches(64, 64, 3, 4, min(most, 9), spared=2)


def _one_row(config: ModelConfig) -> Stretches:
    """Give the cut for one token's query heads of a key head."""
    if config.head_dim < 128:
        return Stretches(16, 64, 2, 4, 33)
    if config.n_kv_heads <= 2:
        return Stretches(16, 128, 1, 4, 17)
    return Stretches(16, 64, 3, 4, 33)


def _few_heads(rows: int, preset: int) -> Stretches:
    """Give the cut where more stretches must keep the processors busy."""
    if preset <= 8:
        return Stretches(64 if rows > 32 else 32, 64, 2, 4, 33, spared=1)
    if preset <= 16:
        return Stretches(64, 64, 2, 4, 32, spared=1)
    if preset <= 32:
        return Stretches(64, 64, 2, 4, 17, spared=1)
    return Stretches(64, 64, 3, 4, 11, spared=1)


def _fit(tile: Tile, columns: int, inner: int, least: int) -> Tile:
    """Halve a tile until it divides the columns and is no larger than the inner dimension."""
    n, k = tile.n, tile.k
    while columns % n and n > least:
        n //= 2
    while k > 2 * inner and k > MIN_COLUMNS:
        k //= 2
    splits = max(1, min(tile.splits, inner // k))
    return replace(tile, n=n, k=k, splits=splits)
