"""Tree attention for decoding, split over the keys, then merged.

Rows are the query heads of one key head times the query tokens (any ratio of heads). A program
takes one key head, one block of rows and one stretch of the slots; a second kernel merges the
stretches of each row in their order. Slots before `prefix` are visible to every row; slot
`prefix + j` is visible to token i where bit j of `words[i]` is set. Plain decoding and chains are
special trees. All lengths live on the device, so that a captured graph serves every length.
"""

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

MAX_DEPTH = tl.constexpr(64)  # of a row below the slots that all rows share


@triton.jit
def stretch(length, split, SPLITS: tl.constexpr, BLOCK_S: tl.constexpr, SPARED: tl.constexpr):
    """First and last slot of one of SPLITS stretches of as many whole blocks, or one more.

    The last stretch, which ends behind masks, is SPARED so many blocks.
    """
    blocks = tl.cdiv(length, BLOCK_S)
    low = split * (blocks + SPARED) // SPLITS
    high = (split + 1) * (blocks + SPARED) // SPLITS
    return tl.minimum(low, blocks) * BLOCK_S, tl.minimum(high * BLOCK_S, length)


@triton.jit
def nearest(shared, window, BLOCK_S: tl.constexpr, WINDOW: tl.constexpr):
    """First slot of the first block that the window of some row may reach."""
    first = shared * 0
    if WINDOW:
        first = tl.maximum(shared - window + 1, 0) // BLOCK_S * BLOCK_S
    return first


@triton.jit
def attend(
    query,
    key,
    value,
    seen,
    top,
    weight,
    acc,
    log2_scale,
    softcap,
    MASKED: tl.constexpr,
    SOFTCAP: tl.constexpr,
    EXACT: tl.constexpr,
):
    """One block of slots: running maximum, sum and mixture, in powers of two."""
    if EXACT:
        score = tl.dot(query, tl.trans(key), input_precision="ieee")
    else:
        score = tl.dot(query, tl.trans(key))
    factor = log2_scale
    if SOFTCAP:
        score = softcap * (1.0 - 2.0 / (1.0 + tl.exp2(score * log2_scale)))
        factor = 1.0
    if MASKED:
        score = tl.where(seen, score, float("-inf"))
    new_top = tl.maximum(top, tl.max(score, axis=1) * factor)
    if MASKED:
        safe = tl.where(new_top == float("-inf"), 0.0, new_top)
    else:
        safe = new_top
    shrink = tl.exp2(top - safe)
    share = tl.exp2(score * factor - safe[:, None])
    weight = weight * shrink + tl.sum(share, axis=1)
    acc = acc * shrink[:, None]
    if EXACT:
        acc = tl.dot(share, value, acc, input_precision="ieee")
    else:
        acc = tl.dot(share.to(value.dtype), value, acc)
    return new_top, weight, acc


@triton.jit
def split_kernel(
    q,
    keys,
    values,
    partial,
    partial_top,
    partial_weight,
    lane,
    prefix,
    tail,
    words,
    depths,
    log2_scale,
    softcap,
    window,
    n_rows,
    lane_stride,
    capacity,
    N_HEADS: tl.constexpr,
    N_KV: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    SPLITS: tl.constexpr,
    SOFTCAP: tl.constexpr,
    WINDOW: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_S: tl.constexpr,
    SPARED: tl.constexpr,
    STAGES: tl.constexpr,
    PREFETCH: tl.constexpr,
    PDL: tl.constexpr,
    EXACT: tl.constexpr,
):
    """q: [tokens, N_HEADS · HEAD_DIM]; words, depths: [tokens]; prefix, tail, lane: device ints.

    partial: [N_KV, blocks, SPLITS, BLOCK_R, HEAD_DIM], the mixture of one stretch; fp32 without the
    last dimension: its highest score, and its weight relative to that.
    With SOFTCAP log2_scale is twice scale · log2(e) / cap, and softcap is cap · log2(e).
    """
    group: tl.constexpr = N_HEADS // N_KV
    kv_head, block, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    d = tl.arange(0, HEAD_DIM)
    s = tl.arange(0, BLOCK_S)
    head_base = kv_head.to(tl.int64) * capacity * HEAD_DIM
    # what lies on the device since before the projection may be read before the wait
    shared = tl.load(prefix).to(tl.int32)
    length = shared + tl.load(tail).to(tl.int32)
    base = tl.load(lane).to(tl.int64) * lane_stride + head_base
    n_real = tl.load(n_rows)
    first = nearest(shared, window, BLOCK_S, WINDOW)
    low, high = stretch(length - first, split, SPLITS, BLOCK_S, SPARED)
    low, high = low + first, high + first
    if block * BLOCK_R >= n_real * group:  # no row is real
        high = low
    if PDL:
        gdc_launch_dependents()
        if PREFETCH:
            if block == 0:
                lines = tl.arange(0, 2) * (HEAD_DIM // 2)
                for start in tl.range(low, high, BLOCK_S):
                    slot = tl.minimum(start + s, high - 1)
                    at = base + slot[:, None] * HEAD_DIM + lines[None, :]
                    tl.inline_asm_elementwise(
                        "prefetch.global.L2 [$1]; prefetch.global.L2 [$2]; mov.u32 $0, 0;",
                        "=r,l,l",
                        [keys + at, values + at],
                        dtype=tl.int32,
                        is_pure=False,
                        pack=1,
                    )
        gdc_wait()
    row = block * BLOCK_R + tl.arange(0, BLOCK_R)
    token, head = row // group, kv_head * group + row % group
    real = token < n_real
    at_row = token[:, None] * (N_HEADS * HEAD_DIM) + head[:, None] * HEAD_DIM + d[None, :]
    query = tl.load(q + at_row, mask=real[:, None], other=0.0)
    # whole blocks of the prefix in the window of every row need no mask: those from near to clear
    near = low
    if WINDOW:
        near = tl.cdiv(tl.maximum(shared + MAX_DEPTH - window, 0), BLOCK_S) * BLOCK_S
        near = tl.minimum(tl.maximum(near, low), high)
    clear = tl.maximum(near, tl.minimum(high, shared) // BLOCK_S * BLOCK_S)
    top = tl.full((BLOCK_R,), float("-inf"), dtype=tl.float32)
    weight = tl.zeros((BLOCK_R,), dtype=tl.float32)
    acc = tl.zeros((BLOCK_R, HEAD_DIM), dtype=tl.float32)
    for start in tl.range(near, clear, BLOCK_S, num_stages=STAGES):
        at = base + (start + s)[:, None] * HEAD_DIM + d[None, :]
        key, value = tl.load(keys + at), tl.load(values + at)
        top, weight, acc = attend(
            query, key, value, top, top, weight, acc, log2_scale, softcap, False, SOFTCAP, EXACT
        )
    masked = near - low + high - clear
    if masked > 0:
        word = tl.load(words + token, mask=real, other=0)
        position = shared + tl.load(depths + token, mask=real, other=0)
        for done in tl.range(0, masked, BLOCK_S, num_stages=1):
            start = clear + done
            if WINDOW:
                start = tl.where(low + done < near, low + done, start - (near - low))
            slot = start + s
            held = slot < length
            at = base + slot[:, None] * HEAD_DIM + d[None, :]
            key = tl.load(keys + at, mask=held[:, None], other=0.0)
            value = tl.load(values + at, mask=held[:, None], other=0.0)
            node = tl.minimum(tl.maximum(slot - shared, 0), 63).to(tl.int64)
            bit = (word[:, None] >> node[None, :]) & 1
            seen = held[None, :] & ((slot < shared)[None, :] | (bit == 1))
            if WINDOW:
                close = position[:, None] - slot[None, :] < window
                seen = seen & ((slot >= shared)[None, :] | close)
            top, weight, acc = attend(
                query, key, value, seen, top, weight, acc, log2_scale, softcap, True, SOFTCAP, EXACT
            )
    slab = ((kv_head * tl.num_programs(1) + block) * SPLITS + split) * BLOCK_R
    slab += tl.arange(0, BLOCK_R)
    share = acc / tl.where(weight == 0.0, 1.0, weight)[:, None]
    at = partial + slab[:, None] * HEAD_DIM + d[None, :]
    tl.store(at, share.to(partial.dtype.element_ty))
    tl.store(partial_top + slab, top)
    tl.store(partial_weight + slab, weight)


@triton.jit
def merge_kernel(
    partial,
    partial_top,
    partial_weight,
    out,
    n_blocks,
    N_HEADS: tl.constexpr,
    N_KV: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    SPLITS: tl.constexpr,
    SPLITS_POW2: tl.constexpr,
    BLOCK_R: tl.constexpr,
    PDL: tl.constexpr,
):
    """Join the stretches of one query head of one token. out: [tokens, N_HEADS · HEAD_DIM]."""
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    group: tl.constexpr = N_HEADS // N_KV
    token, head = tl.program_id(0), tl.program_id(1)
    row = token * group + head % group
    unit = (head // group) * n_blocks + row // BLOCK_R
    split = tl.arange(0, SPLITS_POW2)
    slab = (unit * SPLITS + split) * BLOCK_R + row % BLOCK_R
    inside = split < SPLITS
    d = tl.arange(0, HEAD_DIM)
    tops = tl.load(partial_top + slab, mask=inside, other=float("-inf"))
    weights = tl.load(partial_weight + slab, mask=inside, other=0.0)
    parts = tl.load(
        partial + slab[:, None] * HEAD_DIM + d[None, :], mask=inside[:, None], other=0.0
    )
    factor = tl.exp2(tops - tl.max(tops, axis=0))
    factor *= weights
    mixed = tl.sum(parts.to(tl.float32) * factor[:, None], axis=0) / tl.sum(factor, axis=0)
    at = out + token * (N_HEADS * HEAD_DIM) + head * HEAD_DIM + d
    tl.store(at, mixed.to(out.dtype.element_ty))


@triton.jit
def merge_rows(
    partial,
    partial_top,
    partial_weight,
    out,
    n_rows,
    N_HEADS: tl.constexpr,
    N_KV: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    SPLITS: tl.constexpr,
    SPLITS_POW2: tl.constexpr,
    BLOCK_R: tl.constexpr,
    ROWS: tl.constexpr,
    PDL: tl.constexpr,
):
    """Join the stretches of ROWS rows of one key head. Programs: [N_KV, all rows / ROWS]."""
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    group: tl.constexpr = N_HEADS // N_KV
    kv_head, first = tl.program_id(0), tl.program_id(1) * ROWS
    row = first + tl.arange(0, ROWS)
    unit = kv_head * tl.cdiv(tl.num_programs(1) * ROWS, BLOCK_R) + first // BLOCK_R
    slab = unit * SPLITS * BLOCK_R + row % BLOCK_R
    split = tl.arange(0, SPLITS_POW2)
    inside = (split < SPLITS)[None, :]
    where = slab[:, None] + split[None, :] * BLOCK_R
    tops = tl.load(partial_top + where, mask=inside, other=float("-inf"))
    weights = tl.load(partial_weight + where, mask=inside, other=0.0)
    highest = tl.max(tops, axis=1)
    total = tl.sum(tl.exp2(tops - highest[:, None]) * weights, axis=1)
    d = tl.arange(0, HEAD_DIM)
    acc = tl.zeros((ROWS, HEAD_DIM), dtype=tl.float32)
    for one in tl.static_range(SPLITS):
        at = slab + one * BLOCK_R
        factor = tl.exp2(tl.load(partial_top + at) - highest) * tl.load(partial_weight + at)
        part = tl.load(partial + at[:, None] * HEAD_DIM + d[None, :])
        acc += part.to(tl.float32) * factor[:, None]
    token, head = row // group, kv_head * group + row % group
    at = out + token[:, None] * (N_HEADS * HEAD_DIM) + head[:, None] * HEAD_DIM + d[None, :]
    mixed = acc / total[:, None]
    tl.store(at, mixed.to(out.dtype.element_ty), mask=(token < tl.load(n_rows))[:, None])
