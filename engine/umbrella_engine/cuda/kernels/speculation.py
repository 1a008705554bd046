"""One step of greedy tree speculation on the device: from the drafts' logits to the next root.

A step starts from a *root*: the token at position `length`, settled but not yet read. The tree's
row 0 is the root, row i + 1 its node i; a row's slot is `length` plus the row, and so is its bit in
the ancestor words. Levels of the draft model come first, then branches of copied text.

The draft model begins each step by reading what the step before settled, whoever proposed it, so
that nothing of its cache needs to be moved.

state: [length, root, target lane, draft lane, length of the text to copy from], int64.
result: [settled tokens, levels the draft got right, tokens the copies got right, length of the next
match, then the settled tokens], int64. Inputs of a decoder are the parts of `decoder.Inputs.all`,
in its order.
"""

import triton
import triton.language as tl

ROWS: tl.constexpr = tl.constexpr(64)
IDS: tl.constexpr = tl.constexpr(0)
POSITIONS: tl.constexpr = tl.constexpr(64)
WORDS: tl.constexpr = tl.constexpr(128)
DEPTHS: tl.constexpr = tl.constexpr(192)
SCALARS: tl.constexpr = tl.constexpr(256)
HEADER: tl.constexpr = tl.constexpr(4)  # of a result, before its tokens
PLACES: tl.constexpr = tl.constexpr(1 << 20)  # more than a text has


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


@triton.jit(do_not_specialize=["n_nodes"])
def root_kernel(state, result, target, draft, n_nodes, READ: tl.constexpr):
    """Lay the root into the target's inputs, and what was settled last into the draft's.

    READ: the most tokens that the draft may have to read; 0 in a step without it.
    """
    one = tl.full((), 1, tl.int64)
    length, root = tl.load(state), tl.load(state + 1)
    put_row(target, 0, root, length, one, one - 1)
    put_scalars(target, one + n_nodes, tl.load(state + 2), length, length, one + n_nodes)
    if READ > 0:
        count = tl.load(result)
        row = tl.arange(0, READ).to(tl.int64)
        unread = row < count
        token = tl.load(result + HEADER + row, mask=unread, other=0)
        first = length - count + 1
        tl.store(draft + IDS + row, token, mask=unread)
        tl.store(draft + POSITIONS + row, first + row, mask=unread)
        tl.store(draft + WORDS + row, (one << (row + 1)) - 1, mask=unread)
        tl.store(draft + DEPTHS + row, row, mask=unread)
        put_scalars(draft, count, tl.load(state + 3), first, first, count)


@triton.jit(do_not_specialize=["branch", "base", "n_tokens"])
def copy_kernel(
    state,
    text,
    places,
    parents,
    target,
    branch,
    base,
    n_tokens,
    BLOCK: tl.constexpr,
):
    """Lay one branch of copied text into the rows from `base` on.

    A row that nothing fills has no parent, so that the walk never comes there.
    """
    length, end = tl.load(state), tl.load(state + 4)
    place = tl.load(places + branch)
    step = tl.arange(0, BLOCK).to(tl.int64)
    inside = step < n_tokens
    there = inside & (place >= 0) & (place + step < end)
    token = tl.load(text + place + step, mask=there, other=-1)
    there = there & (token >= 0)
    row = base + step
    one = tl.full((), 1, tl.int64)
    word = ((one << (step + 1)) - 1) << base
    tl.store(target + IDS + row, tl.where(there, token, 0), mask=inside)
    tl.store(target + POSITIONS + row, length + 1 + step, mask=inside)
    tl.store(target + WORDS + row, word | one, mask=inside)
    tl.store(target + DEPTHS + row, step + 1, mask=inside)
    above = tl.where(step == 0, 0, row - 1)
    tl.store(parents + row, tl.where(there, above, -1).to(tl.int32), mask=inside)


@triton.jit
def candidates_kernel(
    logits,
    values,
    tokens,
    result,
    VOCAB,
    n_blocks,
    LAST_ROW: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The WIDTH best columns of one block of a row. values, tokens: [rows, n_blocks, WIDTH].

    LAST_ROW: of the last settled token's row alone, whichever that is.
    """
    row, block = tl.program_id(0), tl.program_id(1)
    if LAST_ROW:
        row += (tl.load(result) - 1).to(tl.int32)
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


@triton.jit(do_not_specialize=["per_row", "level", "base", "above"])
def grow_kernel(
    state,
    values,
    tokens,
    normalizer,
    scores,
    parents,
    target,
    draft,
    result,
    per_row,
    level,
    base,
    above,
    WIDTH: tl.constexpr,
    PARENTS: tl.constexpr,
    FIRST: tl.constexpr,
    LAST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Add one level: the WIDTH best children by cumulative log-probability, wherever they hang.

    values, tokens: [rows, per_row] candidates of the draft's rows, one row for each of the PARENTS
    nodes of the level above. scores, parents: by row of the tree. base, above: rows of the first
    node of this level and of the one above.
    """
    first_row = (tl.load(result) - 1).to(tl.int32) if FIRST else 0  # of those rows
    flat = tl.arange(0, BLOCK)
    parent = flat // per_row
    inside = parent < PARENTS
    at = (first_row + parent) * per_row + flat % per_row
    score = tl.load(values + at, mask=inside, other=float("-inf"))
    score -= tl.load(normalizer + first_row + parent, mask=inside, other=0.0)
    if not FIRST:
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
        depth = tl.zeros((), tl.int64) + level
        tl.store(scores + row, top)
        tl.store(parents + row, owner)
        put_row(target, row, token.to(tl.int64), length + level, word, depth)
        if not LAST:
            put_row(draft, place, token.to(tl.int64), length + level, word, depth)
    if not LAST:
        width = tl.full((), WIDTH, tl.int64)
        put_scalars(draft, width, tl.load(state + 3), length + base, length, width + base)


@triton.jit(do_not_specialize=["n_nodes", "n_drafted", "longest"])
def walk_kernel(
    state,
    tokens,
    log_probs,
    parents,
    target,
    text,
    places,
    path,
    result,
    result_log_probs,
    n_nodes,
    n_drafted,
    longest,
    BLOCK: tl.constexpr,
    BRANCHES: tl.constexpr,
    TEXT: tl.constexpr,
):
    """Go down the tree as long as the target's choice is in it; settle the path and a new root.

    Draft and copies may hold the same tokens: the walk goes down all equal nodes at once, as bits
    of `ahead`, and takes the rows of the first. path: [longest + 2], the length before, the number
    of accepted nodes, then their rows. Settled tokens are added to the text. places: [BRANCHES],
    where the copies of this step begin in it, in the tree or not.
    """
    one = tl.full((), 1, tl.int64)
    row = tl.arange(0, BLOCK)
    parent = tl.load(parents + row, mask=(row > 0) & (row <= n_nodes), other=-1)
    node = parent >= 0
    above = tl.where(node, parent, 0).to(tl.int64)
    token = tl.load(target + IDS + row, mask=node, other=-1)
    length, end = tl.load(state), tl.load(state + 4)
    branch = tl.arange(0, BRANCHES)
    place = tl.load(places + branch)
    foretold = (place >= 0).to(tl.int64)
    at = tl.zeros((), dtype=tl.int32)
    ahead = one
    accepted = one - 1
    drafted = one - 1
    copied = one - 1
    going = tl.full((), 1, tl.int32)
    for step in range(longest + 1):
        if going == 1:
            choice = tl.load(tokens + at)
            tl.store(result + HEADER + step, choice)
            tl.store(result_log_probs + 1 + step, tl.load(log_probs + at))
            tl.store(text + end + step, choice, mask=end + step < TEXT)
            known = place + step < end
            copy = tl.load(text + place + step, mask=(foretold == 1) & known, other=-1)
            foretold = foretold * (copy == choice).to(tl.int64)
            copied += tl.max(foretold, axis=0)
            hit = node & (token == choice) & (((ahead >> above) & 1) == 1)
            below = tl.min(tl.where(hit, row, BLOCK), axis=0)
            if below < BLOCK:
                tl.store(path + 2 + step, below.to(tl.int64))
                ahead = tl.sum(tl.where(hit, one << row.to(tl.int64), 0), axis=0)
                drafted += (below <= n_drafted).to(tl.int64)
                accepted += 1
                at = below
            else:
                going = tl.zeros((), dtype=tl.int32)
    tl.store(path, length)
    tl.store(path + 1, accepted)
    tl.store(result, accepted + 1)
    tl.store(result + 1, drafted)
    tl.store(result + 2, copied)
    tl.store(state + 1, tl.load(tokens + at))
    tl.store(state, length + accepted + 1)
    tl.store(state + 4, tl.minimum(end + accepted + 1, TEXT))


@triton.jit
def match_kernel(state, text, keys, LEAST: tl.constexpr, MOST: tl.constexpr, BLOCK: tl.constexpr):
    """Say of each place of the text how many tokens before it equal the text's last ones.

    A key is that number, MOST at most, then the place, so that the largest key is the longest match
    and the latest among equals; -1 with fewer than LEAST tokens.
    """
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    end = tl.load(state + 4).to(tl.int32)
    inside = place < end
    equal = tl.zeros((BLOCK,), dtype=tl.int32)
    alike = inside.to(tl.int32)
    for back in range(MOST):
        last = tl.load(text + end - 1 - back, mask=end > back, other=-1)
        token = tl.load(text + place - 1 - back, mask=inside & (place > back), other=-2)
        alike = alike * ((token == last) & (last >= 0)).to(tl.int32)
        equal += alike
    following = tl.load(text + place, mask=inside, other=-1)
    good = (equal >= LEAST) & (following >= 0)
    tl.store(keys + place, tl.where(good, equal * PLACES + place, -1))


@triton.jit
def pick_kernel(text, keys, places, result, BRANCHES: tl.constexpr, TEXT: tl.constexpr):
    """Take the best places after which the text goes on differently, for the next step."""
    flat = tl.arange(0, TEXT)
    key = tl.load(keys + flat)
    following = tl.load(text + flat)
    for branch in range(BRANCHES):
        best = tl.max(key, axis=0)
        place = tl.where(best >= 0, best % PLACES, -1)
        if branch == 0:
            tl.store(result + 3, tl.where(best >= 0, best // PLACES, 0).to(tl.int64))
        tl.store(places + branch, place.to(tl.int64))
        taken = tl.load(text + place, mask=place >= 0, other=-1)
        key = tl.where(following == taken, -1, key)


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
