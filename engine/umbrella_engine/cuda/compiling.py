"""Kernels compiled side by side before any of them runs: a first start takes seconds, not minutes.

A dry run of the launches tells which kernels they need; Triton's hook notes them and holds them
back. Threads then compile them: passes and assembler work outside Python's lock. What was compiled
by an earlier start comes from Triton's cache on disk.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

import torch
import triton

MOST_THREADS = 16


@contextmanager
def held_back(needed: dict[tuple[Any, str], str]) -> Iterator[None]:
    """Collect kernels that are not compiled yet, instead of compiling and launching them.

    `needed` maps a kernel and its key to what its `preload` wants.
    """

    def note(*, fn: Any, compile: dict[str, Any], **_: Any) -> bool:  # names are Triton's
        needed[fn.jit_function, compile["key"]] = compile["specialization_data"]
        return True  # neither compiled nor launched

    runtime: Any = triton.knobs.runtime  # type: ignore[attr-defined]
    before = runtime.jit_cache_hook
    runtime.jit_cache_hook = note
    try:
        yield
    finally:
        runtime.jit_cache_hook = before


def compile_ahead(launches: Sequence[Callable[[], None]], done: Callable[[int, int], None]) -> None:
    """Compile all kernels that `launches` need; `done` is told how many of how many."""
    needed: dict[tuple[Any, str], str] = {}
    with held_back(needed):
        for launch in launches:
            launch()
    if not needed:
        return
    done(0, len(needed))
    pool = ThreadPoolExecutor(
        min(MOST_THREADS, os.cpu_count() or 1),
        # each thread has a current device of its own
        initializer=torch.cuda.set_device,
        initargs=(torch.cuda.current_device(),),
    )
    with pool:
        futures = [pool.submit(kernel.preload, what) for (kernel, _), what in needed.items()]
        for count, future in enumerate(as_completed(futures), 1):
            future.result()
            done(count, len(needed))
