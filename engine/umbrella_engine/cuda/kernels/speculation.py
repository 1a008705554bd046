"""One step of greedy tree speculation on the device: from the drafts' logits to the next root.

A step starts from a *root*: the token at position `length`, settled but not yet read. The tree's
row 0 is the root, row i + 1 its node i; a row's slot is `length` plus the row, in target and draft
alike, and so is its bit in the ancestor words. The draft reads the token before the root again at
the start of each step: if the last step accepted a whole path, its end was never read.

state: [length, root, token before, target lane, draft lane], int64. Inputs of a decoder are the
parts of `decoder.Inputs.all`, in its order.
"""

import triton
import triton.language as tl

ROWS: tl.constexpr = tl.constexpr(64)
IDS: tl.constexpr = tl.constexpr(0)
POSITIONS: tl.constexpr = tl.constexpr(64)
WORDS: tl.constexpr = tl.constexpr(128)
DEPTHS: tl.constexpr = tl.constexpr(192)
SCALARS: tl.constexpr = tl.constexpr(256)


@triton.jit
def put_row(inputs, row, token, position, word, depth):
    """Write one row of a decoder's inputs."""
    tl.store(inputs + IDS + row, token)
    tl.store(inputs + POSITIONS + row, position)
    tl.store(inputs + WORDS + row, word)
    tl.store(inputs + DEPTHS + row, depth)


@triton.jit
def put_scalars(inputs, n_rows, lane, start, prefix, tail):
    """Write the other inputs of a decoder."""
    tl.store(inputs + SCALARS, n_rows)
    tl.store(inputs + SCALARS + 1, lane)
    tl.store(inputs + SCALARS + 2, start)
    tl.store(inputs + SCALARS + 3, prefix)
    tl.store(inputs + SCALARS + 4, tail)


@triton.jit
def root_kernel(state, target, draft, N_NODES: tl.constexpr):
    """Lay the root into the target's inputs, and with the token before it into the draft's."""
    one = tl.full((), 1, tl.int64)
    length, root = tl.load(state), tl.load(state + 1)
    put_row(target, 0, root, length, one, one - 1)
    put_scalars(target, one + N_NODES, tl.load(state + 3), length, length, one + N_NODES)
    if N_NODES > 0:
        put_row(draft, 0, tl.load(state + 2), length - 1, one, one - 1)
        put_row(draft, 1, root, length, one + 2, one)
        put_scalars(draft, one + 1, tl.load(state + 4), length - 1, length - 1, one + 1)


@triton.jit
def candidates_kernel(
    logits, values, tokens, VOCAB, n_blocks, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    """The WIDTH best columns of one block of a row. values, tokens: [rows, n_blocks, WIDTH]."""
    row, block = tl.program_id(0), tl.program_id(1)
    column = block * BLOCK + tl.arange(0, BLOCK)
    left = tl.load(
        logits + row.to(tl.int64) * VOCAB + column, mask=column < VOCAB, other=float("-inf")
    )
    at = (row * n_blocks + block) * WIDTH
    for place in range(WIDTH):
        top = tl.max(left, axis=0)
        where = tl.min(tl.where(left == top, column, 2147483647), axis=0)
        tl.store(values + at + place, top)
        tl.store(tokens + at + place, where)
        left = tl.where(column == where, float("-inf"), left)


@triton.jit
def grow_kernel(
    state,
    values,
    tokens,
    normalizer,
    scores,
    parents,
    target,
    draft,
    per_row,
    first_row,
    LEVEL: tl.constexpr,
    WIDTH: tl.constexpr,
    PARENTS: tl.constexpr,
    LAST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Add one level: the WIDTH best children by cumulative log-probability, wherever they hang.

    values, tokens: [rows, per_row] candidates of the draft's rows from `first_row` on, one row for
    each of the PARENTS nodes of the level above. scores, parents: by row of the tree.
    """
    base: tl.constexpr = (LEVEL - 1) * WIDTH + 1  # row of the level's first node
    above: tl.constexpr = 0 if LEVEL == 1 else base - PARENTS
    flat = tl.arange(0, BLOCK)
    parent = flat // per_row
    inside = parent < PARENTS
    at = (first_row + parent) * per_row + flat % per_row
    score = tl.load(values + at, mask=inside, other=float("-inf"))
    score -= tl.load(normalizer + first_row + parent, mask=inside, other=0.0)
    if LEVEL > 1:
        score += tl.load(scores + above + parent, mask=inside, other=0.0)
    length = tl.load(state)
    for place in range(WIDTH):
        top = tl.max(score, axis=0)
        where = tl.min(tl.where(score == top, flat, 2147483647), axis=0)
        score = tl.where(flat == where, float("-inf"), score)
        owner = above + where // per_row
        row = base + place
        token = tl.load(tokens + (first_row + where // per_row) * per_row + where % per_row)
        word = tl.load(target + WORDS + owner) | (tl.full((), 1, tl.int64) << row)
        depth = tl.full((), LEVEL, tl.int64)
        tl.store(scores + row, top)
        tl.store(parents + row, owner)
        put_row(target, row, token.to(tl.int64), length + LEVEL, word, depth)
        if not LAST:
            put_row(draft, place, token.to(tl.int64), length + LEVEL, word, depth)
    if not LAST:
        width = tl.full((), WIDTH, tl.int64)
        put_scalars(draft, width, tl.load(state + 4), length + base, length, width + base)


@triton.jit
def walk_kernel(
    state,
    tokens,
    log_probs,
    parents,
    target,
    path,
    result,
    result_log_probs,
    N_NODES: tl.constexpr,
    DEPTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Go down the tree as long as the target's choice is in it; settle the path and a new root.

    path: [DEPTH + 2], the length before, the number of accepted nodes, then their rows.
    result: [DEPTH + 2], the number of new tokens, then the tokens; log-probabilities likewise.
    """
    row = tl.arange(0, BLOCK)
    node = (row > 0) & (row <= N_NODES)
    parent = tl.load(parents + row, mask=node, other=-1)
    token = tl.load(target + IDS + row, mask=node, other=-1)
    length = tl.load(state)
    at = tl.zeros((), dtype=tl.int32)
    accepted = tl.zeros((), dtype=tl.int64)
    going = tl.full((), 1, tl.int32)
    for step in range(DEPTH + 1):
        if going == 1:
            choice = tl.load(tokens + at)
            tl.store(result + 1 + step, choice)
            tl.store(result_log_probs + 1 + step, tl.load(log_probs + at))
            hit = node & (parent == at) & (token == choice)
            below = tl.min(tl.where(hit, row, 2147483647), axis=0)
            if below < BLOCK:
                tl.store(path + 2 + step, below.to(tl.int64))
                accepted += 1
                at = below
            else:
                going = tl.zeros((), dtype=tl.int32)
    tl.store(path, length)
    tl.store(path + 1, accepted)
    tl.store(result, accepted + 1)
    tl.store(state + 2, tl.load(target + IDS + at))
    tl.store(state + 1, tl.load(tokens + at))
    tl.store(state, length + accepted + 1)


@triton.jit
def compact_kernel(
    keys,
    values,
    path,
    inputs,
    layer_stride,
    lane_stride,
    capacity,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Move the accepted rows of one layer and head to where the path says they belong."""
    layer, head = tl.program_id(0), tl.program_id(1)
    length, accepted = tl.load(path), tl.load(path + 1)
    step = tl.arange(0, BLOCK)
    moved = step < accepted
    row = tl.load(path + 2 + step, mask=moved, other=0)
    if tl.max(tl.where(moved & (row != step + 1), 1, 0), axis=0) == 1:
        d = tl.arange(0, HEAD_DIM)
        lane = tl.load(inputs + SCALARS + 1)
        base = layer.to(tl.int64) * layer_stride + lane * lane_stride + head * capacity * HEAD_DIM
        source = base + (length + row)[:, None] * HEAD_DIM + d[None, :]
        goal = base + (length + 1 + step)[:, None] * HEAD_DIM + d[None, :]
        key = tl.load(keys + source, mask=moved[:, None], other=0.0)
        value = tl.load(values + source, mask=moved[:, None], other=0.0)
        tl.debug_barrier()
        tl.store(keys + goal, key, mask=moved[:, None])
        tl.store(values + goal, value, mask=moved[:, None])
