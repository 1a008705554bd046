"""Skinny matrix products for decoding: up to 64 rows against weights that are read exactly once.

At batch 1 a step costs the bytes of its weights. So each program streams a few weight rows, with
what surrounds the product folded in: bias, rotation and cache write, SiLU gate, residual sum. Who
adds to the residual also leaves it times the gain of the norm that comes next: its readers stream
that as it lies, and the rest of the norm is a row scale after their product. The sums of squares
for it travel as one partial per program and are added up by the reader in a fixed order, and so are
the parts of a product that is split along its inner dimension: results do not depend on
scheduling. Where the device can, a program starts while the kernel before still runs (programmatic
dependent launch) and pulls its weights into L2 until its input is there.

One row is a sum over elementwise products (`BLOCK_M == 1`); more rows are matrix products, with
the weights as left operand where `SWAP`: their 64 rows fill a warp group's instruction, however
few tokens there are, and eight tokens are enough for the right operand.
"""

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

ROWS = tl.constexpr(64)  # of a table of partial sums


@triton.jit
def begin(
    w,
    rows,
    low,
    K: tl.constexpr,
    BYTES: tl.constexpr,
    LINES: tl.constexpr,
    PDL: tl.constexpr,
    EARLY: tl.constexpr,
):
    """Prefetch the first LINES · 128 bytes of some weight rows, then wait for the kernel before.

    EARLY: let the next kernel start at once; else `product` lets it once the weights are read.
    """
    if PDL:
        if EARLY:
            gdc_launch_dependents()
        if LINES > 0:
            offset = tl.minimum(low + tl.arange(0, LINES) * (128 // BYTES), K - 1)
            tl.inline_asm_elementwise(
                "prefetch.global.L2 [$1]; mov.u32 $0, 0;",
                "=r,l",
                [w + rows[:, None].to(tl.int64) * K + offset[None, :]],
                dtype=tl.int32,
                is_pure=False,
                pack=1,
            )
        gdc_wait()


@triton.jit
def row_scale(ssq, m, eps, K: tl.constexpr, PARTS: tl.constexpr, PARTS_POW2: tl.constexpr):
    """1 / RMS of each row from the partial sums of squares [rows, PARTS]."""
    parts = tl.arange(0, PARTS_POW2)
    total = tl.load(
        ssq + m[:, None] * PARTS + parts[None, :], mask=parts[None, :] < PARTS, other=0.0
    )
    return tl.rsqrt(tl.sum(total, axis=1) / K + eps)


@triton.jit
def normed(
    acc,
    table,
    rows,
    ssq,
    m,
    eps,
    OUT,
    K: tl.constexpr,
    PARTS: tl.constexpr,
    PARTS_POW2: tl.constexpr,
    LAYER: tl.constexpr,
):
    """Turn products of rows x times gain into those of normed x: RMS norm, with LAYER layer norm.

    W (gain (x - mean) s + shift) + bias = s (W gain x - mean W gain) + (W shift + bias); `table`
    [2, OUT] holds W gain and the last sum. Squared deviations of each row's parts lie in `ssq`
    [rows, PARTS], the parts' means ROWS rows further on.
    """
    if LAYER:
        part = tl.arange(0, PARTS_POW2)
        inside = (part < PARTS)[None, :]
        at = ssq + m[:, None] * PARTS + part[None, :]
        means = tl.load(at + ROWS * PARTS, mask=inside, other=0.0)
        mean = (tl.sum(means, axis=1) / PARTS)[:, None]
        away = tl.where(inside, means - mean, 0.0)
        squares = tl.load(at, mask=inside, other=0.0) + away * away * (K // PARTS)
        scale = tl.rsqrt(tl.sum(squares, axis=1) / K + eps)[:, None]
        gains, shifts = tl.load(table + rows)[None, :], tl.load(table + OUT + rows)[None, :]
        acc = (acc - mean * gains) * scale + shifts
    else:
        acc = acc * row_scale(ssq, m, eps, K, PARTS, PARTS_POW2)[:, None]
    return acc


@triton.jit
def activate(x, GELU: tl.constexpr):
    """SiLU, or GELU by its tanh formula: both are x times a sigmoid."""
    if GELU:
        inner = 1.5957691216057308 * (x + 0.044715 * x * x * x)  # 2 * sqrt(2 / pi)
    else:
        inner = x
    return x / (1.0 + tl.exp(-inner))


@triton.jit
def product(
    x,
    w,
    rows,
    m,
    low,
    high,
    K: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    STAGES: tl.constexpr,
    SWAP: tl.constexpr,
    EXACT: tl.constexpr,
):
    """X [m, low … high] by the weight rows `rows` [BLOCK_N] → fp32 [BLOCK_M, BLOCK_N].

    `low` and `high` are multiples of BLOCK_K, or `high` is K.
    """
    even: tl.constexpr = K % BLOCK_K == 0
    if BLOCK_M == 1:
        acc = tl.zeros((BLOCK_N, BLOCK_K), dtype=tl.float32)
    elif SWAP:
        acc = tl.zeros((BLOCK_N, BLOCK_M), dtype=tl.float32)
    else:
        acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    at_w = w + rows[:, None].to(tl.int64) * K
    at_x = x + m[:, None] * K
    for start in tl.range(low, high, BLOCK_K, num_stages=STAGES):
        k = start + tl.arange(0, BLOCK_K)
        inside = (k < K)[None, :]
        if even:
            slab = tl.load(at_w + k[None, :], eviction_policy="evict_first")
            part = tl.load(at_x + k[None, :])
        else:
            slab = tl.load(at_w + k[None, :], mask=inside, other=0.0, eviction_policy="evict_first")
            part = tl.load(at_x + k[None, :], mask=inside, other=0.0)
        if BLOCK_M == 1:
            acc += slab.to(tl.float32) * part.to(tl.float32)
        elif SWAP:
            if EXACT:
                acc = tl.dot(slab, tl.trans(part), acc, input_precision="ieee")
            else:
                acc = tl.dot(slab, tl.trans(part), acc)
        elif EXACT:
            acc = tl.dot(part, tl.trans(slab), acc, input_precision="ieee")
        else:
            acc = tl.dot(part, tl.trans(slab), acc)
    if BLOCK_M == 1:
        result = tl.sum(acc, axis=1)[None, :]
    elif SWAP:
        result = tl.trans(acc)
    else:
        result = acc
    return result


@triton.jit
def qkv_kernel(
    x,
    w,
    bias,
    ssq,
    q_gain,
    k_gain,
    cos,
    sin,
    positions,
    start_slot,
    lane,
    q_out,
    keys,
    values,
    eps,
    n_rows,
    lane_stride,
    capacity,
    N_HEADS: tl.constexpr,
    N_KV: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    LAYER: tl.constexpr,
    QK_NORM: tl.constexpr,
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
    """Norm, QKV projection, bias, head norms, rotation; queries out, keys and values to the cache.

    With LAYER `bias` is the table that `normed` wants.
    A program owns BLOCK_N // 2 columns of the first and the matching ones of the second half of one
    head, so that rotation needs no exchange. Head norms need BLOCK_N == HEAD_DIM.
    """
    half: tl.constexpr = BLOCK_N // 2
    slices: tl.constexpr = HEAD_DIM // BLOCK_N
    head = tl.program_id(0) // slices
    first_column = (tl.program_id(0) % slices) * half
    pair = tl.arange(0, BLOCK_N)  # columns of both halves, interleaved
    row = head * HEAD_DIM + first_column + pair // 2 + (pair % 2) * (HEAD_DIM // 2)
    m = tl.arange(0, BLOCK_M)
    begin(w, row, 0, K, BYTES, LINES, PDL, EARLY)
    real = m < tl.load(n_rows)
    acc = product(x, w, row, m, 0, K, K, BLOCK_M, BLOCK_N, BLOCK_K, STAGES, SWAP, EXACT)
    if PDL and not EARLY:
        gdc_launch_dependents()
    columns: tl.constexpr = (N_HEADS + 2 * N_KV) * HEAD_DIM
    acc = normed(acc, bias, row, ssq, m, eps, columns, K, PARTS, PARTS_POW2, LAYER)
    if HAS_BIAS:
        acc += tl.load(bias + row)[None, :].to(tl.float32)
    a, b = tl.split(tl.reshape(acc, (BLOCK_M, half, 2)))
    column = first_column + tl.arange(0, half)
    if head < N_HEADS + N_KV:
        if QK_NORM:
            squares = (tl.sum(a * a, axis=1) + tl.sum(b * b, axis=1)) / HEAD_DIM
            norm = tl.rsqrt(squares + eps)[:, None]
            own = q_gain if head < N_HEADS else k_gain
            a = a * norm * tl.load(own + column)[None, :].to(tl.float32)
            b = b * norm * tl.load(own + HEAD_DIM // 2 + column)[None, :].to(tl.float32)
        position = tl.load(positions + m, mask=real, other=0)
        turn = position[:, None] * HEAD_DIM + column[None, :]
        c, s = tl.load(cos + turn).to(tl.float32), tl.load(sin + turn).to(tl.float32)
        a, b = a * c - b * s, b * c + a * s
    if head < N_HEADS:
        at = q_out + m[:, None] * (N_HEADS * HEAD_DIM) + (head * HEAD_DIM + column)[None, :]
        tl.store(at, a.to(q_out.dtype.element_ty), mask=real[:, None])
        tl.store(at + HEAD_DIM // 2, b.to(q_out.dtype.element_ty), mask=real[:, None])
    else:
        is_key = head < N_HEADS + N_KV
        kv_head = head - N_HEADS - (0 if is_key else N_KV)
        store = keys if is_key else values
        slot = (tl.load(start_slot) + m)[:, None]
        base = tl.load(lane).to(tl.int64) * lane_stride
        at = store + base + (kv_head * capacity + slot) * HEAD_DIM + column[None, :]
        tl.store(at, a.to(store.dtype.element_ty), mask=real[:, None])
        tl.store(at + HEAD_DIM // 2, b.to(store.dtype.element_ty), mask=real[:, None])


@triton.jit
def gated_kernel(
    x,
    w,
    bias,
    ssq,
    out,
    eps,
    n_rows,
    INNER: tl.constexpr,
    GATED: tl.constexpr,
    GELU: tl.constexpr,
    HAS_BIAS: tl.constexpr,
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
    """Norm, gate and up projections, activated gate · up. w: [2 · INNER, K], gate rows first.

    A program owns BLOCK_N // 2 gate rows and the matching up rows. Where nothing is GATED there
    are up rows only, which are activated. With LAYER `bias` is the table that `normed` wants.
    """
    columns: tl.constexpr = BLOCK_N // 2 if GATED else BLOCK_N
    pair = tl.arange(0, BLOCK_N)
    first = tl.program_id(0) * columns
    if GATED:
        row = first + pair // 2 + (pair % 2) * INNER
    else:
        row = first + pair
    m = tl.arange(0, BLOCK_M)
    begin(w, row, 0, K, BYTES, LINES, PDL, EARLY)
    acc = product(x, w, row, m, 0, K, K, BLOCK_M, BLOCK_N, BLOCK_K, STAGES, SWAP, EXACT)
    if PDL and not EARLY:
        gdc_launch_dependents()
    acc = normed(acc, bias, row, ssq, m, eps, INNER, K, PARTS, PARTS_POW2, LAYER)
    if HAS_BIAS:
        acc += tl.load(bias + row)[None, :].to(tl.float32)
    if GATED:
        gate, up = tl.split(tl.reshape(acc, (BLOCK_M, columns, 2)))
        mixed = activate(gate, GELU) * up
    else:
        mixed = activate(acc, GELU)
    at = out + m[:, None] * INNER + (first + tl.arange(0, columns))[None, :]
    tl.store(at, mixed.to(out.dtype.element_ty), mask=(m < tl.load(n_rows))[:, None])


@triton.jit
def residual_kernel(
    x,
    w,
    bias,
    residual,
    gain,
    gained,
    ssq,
    partial,
    arrived,
    n_rows,
    N: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    SCALE: tl.constexpr,
    LAYER: tl.constexpr,
    SPLITS: tl.constexpr,
    MAX_ROWS: tl.constexpr,
    K: tl.constexpr,
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
    """Residual [rows, N] += SCALE · x [rows, K] by w [N, K], and what the next norm needs.

    That is the residual times `gain` [N] to `gained`, and sums of squares to ssq [rows, programs],
    or with LAYER squared deviations and means.
    With SPLITS > 1 several programs share the inner dimension; the last of them to finish adds the
    parts up in their order. partial: [SPLITS, MAX_ROWS, N] fp32; arrived: [programs], zero.
    """
    program, split = tl.program_id(0), tl.program_id(1)
    n = program * BLOCK_N + tl.arange(0, BLOCK_N)
    m = tl.arange(0, BLOCK_M)
    piece: tl.constexpr = (K + SPLITS * BLOCK_K - 1) // (SPLITS * BLOCK_K) * BLOCK_K
    low = split * piece
    begin(w, n, low, K, BYTES, LINES, PDL, EARLY)
    real = m < tl.load(n_rows)
    high = tl.minimum(low + piece, K)
    acc = product(x, w, n, m, low, high, K, BLOCK_M, BLOCK_N, BLOCK_K, STAGES, SWAP, EXACT)
    if PDL and not EARLY:
        gdc_launch_dependents()
    last = True
    if SPLITS > 1:
        own = partial + (split * MAX_ROWS + m[:, None]) * N + n[None, :]
        tl.store(own, acc, mask=real[:, None])
        tl.debug_barrier()
        last = tl.atomic_add(arrived + program, 1, sem="acq_rel", scope="gpu") == SPLITS - 1
    if last:
        if SPLITS > 1:
            tl.debug_barrier()
            acc = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
            for other in tl.static_range(SPLITS):
                its = partial + (other * MAX_ROWS + m[:, None]) * N + n[None, :]
                acc += tl.load(its, mask=real[:, None], other=0.0, cache_modifier=".cg")
            tl.store(arrived + program, 0)
        if HAS_BIAS:
            acc += tl.load(bias + n)[None, :].to(tl.float32)
        if SCALE != 1.0:
            acc *= SCALE
        at = residual + m[:, None] * N + n[None, :]
        total = (tl.load(at, mask=real[:, None], other=0.0).to(tl.float32) + acc).to(
            residual.dtype.element_ty
        )
        tl.store(at, total, mask=real[:, None])
        parts: tl.constexpr = N // BLOCK_N
        rounded = total.to(tl.float32)
        ready = rounded * tl.load(gain + n)[None, :].to(tl.float32)
        at = gained + m[:, None] * N + n[None, :]
        tl.store(at, ready.to(gained.dtype.element_ty), mask=real[:, None])
        if LAYER:
            mean = tl.sum(rounded, axis=1) / BLOCK_N
            tl.store(ssq + ROWS * parts + m * parts + program, mean, mask=real)
            rounded -= mean[:, None]
        tl.store(ssq + m * parts + program, tl.sum(rounded * rounded, axis=1), mask=real)
