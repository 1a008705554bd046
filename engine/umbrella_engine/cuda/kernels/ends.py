"""Both ends of a decoder on the device: embedding rows in, logits or the best token out."""

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from umbrella_engine.cuda.kernels.products import ROWS, begin, normed, product


@triton.jit
def embed_kernel(
    ids,
    table,
    x,
    gain,
    gained,
    ssq,
    HIDDEN: tl.constexpr,
    SCALE: tl.constexpr,
    LAYER: tl.constexpr,
    BLOCK: tl.constexpr,
    PARTS: tl.constexpr,
    PARTS_POW2: tl.constexpr,
    PDL: tl.constexpr,
):
    """X [rows, HIDDEN] = SCALE · table[ids], with what the next norm needs.

    That is x times `gain` to `gained`, and PARTS partials. The first holds the sum of squares, or
    with LAYER all squared deviations; all hold the mean.
    """
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < HIDDEN
    token = tl.load(ids + row).to(tl.int64)
    values = tl.load(table + token * HIDDEN + column, mask=inside, other=0.0)
    if SCALE != 1.0:
        values = (values.to(tl.float32) * SCALE).to(x.dtype.element_ty)
    tl.store(x + row * HIDDEN + column, values, mask=inside)
    part = tl.arange(0, PARTS_POW2)
    wide = values.to(tl.float32)
    ready = wide * tl.load(gain + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(gained + row * HIDDEN + column, ready.to(gained.dtype.element_ty), mask=inside)
    if LAYER:
        mean = tl.sum(wide, axis=0) / HIDDEN
        means = tl.zeros((PARTS_POW2,), tl.float32) + mean
        tl.store(ssq + ROWS * PARTS + row * PARTS + part, means, mask=part < PARTS)
        wide = tl.where(inside, wide - mean, 0.0)
    squares = tl.sum(wide * wide, axis=0)
    tl.store(ssq + row * PARTS + part, tl.where(part == 0, squares, 0.0), mask=part < PARTS)


@triton.jit
def head_kernel(
    x,
    w,
    table,
    ssq,
    logits,
    best,
    best_at,
    total,
    eps,
    n_rows,
    VOCAB,
    LOGITS: tl.constexpr,
    SCALE: tl.constexpr,
    LAYER: tl.constexpr,
    K: tl.constexpr,
    PARTS: tl.constexpr,
    PARTS_POW2: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    STAGES: tl.constexpr,
    SWAP: tl.constexpr,
    BYTES: tl.constexpr,
    LINES: tl.constexpr,
    PDL: tl.constexpr,
    EARLY: tl.constexpr,
    EXACT: tl.constexpr,
):
    """Output head. Each program leaves the best of its columns; logits where wanted.

    With LAYER `table` is what `normed` wants; logits are times SCALE.
    logits: [rows, VOCAB]; best, best_at and total (sum of exponentials below the best): [rows,
    programs].
    """
    program, programs = tl.program_id(0), tl.num_programs(0)
    n = program * BLOCK_N + tl.arange(0, BLOCK_N)
    m = tl.arange(0, BLOCK_M)
    exists = n < VOCAB
    row = tl.where(exists, n, 0)
    begin(w, row, 0, K, BYTES, LINES, PDL, EARLY)
    acc = product(x, w, row, m, 0, K, K, BLOCK_M, BLOCK_N, BLOCK_K, STAGES, SWAP, EXACT)
    if PDL and not EARLY:
        gdc_launch_dependents()
    acc = normed(acc, table, row, ssq, m, eps, VOCAB, K, PARTS, PARTS_POW2, LAYER)
    if SCALE != 1.0:
        acc *= SCALE
    real = m < tl.load(n_rows)
    if LOGITS:
        at = logits + m[:, None].to(tl.int64) * VOCAB + n[None, :]
        tl.store(at, acc.to(logits.dtype.element_ty), mask=real[:, None] & exists[None, :])
    acc = tl.where(exists[None, :], acc, float("-inf"))
    top = tl.max(acc, axis=1)
    where = tl.min(tl.where(acc == top[:, None], n[None, :], 2147483647), axis=1)
    tl.store(best + m * programs + program, top, mask=real)
    tl.store(best_at + m * programs + program, where, mask=real)
    tl.store(total + m * programs + program, tl.sum(tl.exp(acc - top[:, None]), axis=1), mask=real)


@triton.jit
def choose_kernel(
    best,
    best_at,
    total,
    tokens,
    normalizer,
    log_probs,
    programs,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    """Each row's best column (ties go to the lowest), its log-probability and the normalizer."""
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    row = tl.program_id(0)
    p = tl.arange(0, BLOCK)
    inside = p < programs
    tops = tl.load(best + row * programs + p, mask=inside, other=float("-inf"))
    at = tl.load(best_at + row * programs + p, mask=inside, other=2147483647)
    sums = tl.load(total + row * programs + p, mask=inside, other=0.0)
    top = tl.max(tops, axis=0)
    excess = tl.log(tl.sum(sums * tl.exp(tops - top), axis=0))
    tl.store(tokens + row, tl.min(tl.where(tops == top, at, 2147483647), axis=0).to(tl.int64))
    tl.store(normalizer + row, top + excess)
    tl.store(log_probs + row, -excess)
