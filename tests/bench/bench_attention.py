"""Attention by library on a GPU: prompts and steps, with the 7B's heads.

Usage: python -m tests.bench.bench_attention [--lengths 1024 4096] [--rows 1 8 64]

Each library that is installed reads a chunk of 1024 tokens behind as many and more, and attends for
the rows of a step as one CUDA graph, beside our own kernel; results that differ from ours are told,
not timed. The last line is JSON: milliseconds or reasons by case and name.
"""

import argparse
import dataclasses
import json

import torch
from rich.console import Console
from rich.table import Table

from tests.bench.gpu_models import SHAPES, random_fused
from umbrella_engine.attention.choice import Trial, try_out
from umbrella_engine.attention.libraries import FlashOp, TorchFlash, installed
from umbrella_engine.cuda.decoder import FusedDecoder, StepAttention
from umbrella_engine.cuda.merged_attention import MergedAttention
from umbrella_engine.cuda.step_attention import OWN, try_steps

CHUNK = 1024


def prompts(fused: FusedDecoder, ops: list[FlashOp], length: int) -> list[Trial]:
    """Time a chunk that ends at `length`."""
    config, cache = fused.config, fused.cache
    keys, values = cache.read(0, 0, length)
    queries = torch.randn(config.n_heads, CHUNK, config.head_dim, device=fused.device)
    queries = queries.to(fused.dtype)
    expected = TorchFlash().causal(queries, keys, values, config.scale)
    return [
        try_out(op.name, lambda op=op: op.causal(queries, keys, values, config.scale), expected)  # type: ignore[misc]
        for op in ops
    ]


def steps(fused: FusedDecoder, ops: list[FlashOp], length: int, rows: int) -> list[Trial]:
    """Time the rows of a step behind `length` tokens."""
    candidates: dict[str, StepAttention] = {OWN: fused.attention}
    candidates |= {op.name: MergedAttention(fused.config, fused.inputs, op) for op in ops}
    return try_steps(fused, candidates, length, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=[2048, 4096])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 64])
    arguments = parser.parse_args()
    config = dataclasses.replace(SHAPES["7B"], n_layers=1, vocab=1024)
    fused = random_fused(config, max(arguments.lengths) + 64)
    libraries, reasons = installed(fused.dtype)
    ops: list[FlashOp] = [TorchFlash(), *libraries]
    cases = {f"prompt to {n}": prompts(fused, ops, n) for n in arguments.lengths}
    for n in arguments.lengths:
        for rows in arguments.rows:
            cases[f"{rows} rows behind {n}"] = steps(fused, ops, n, rows)
    console = Console()
    table = Table("one layer of 7B", "what", "ms, or why not")
    for case, trials in cases.items():
        for trial in trials:
            took = trial.milliseconds
            table.add_row(case, trial.name, trial.reason if took is None else f"{took:.4f}")
    console.print(table)
    print(
        json.dumps(
            {
                "bench": "attention",
                "device": torch.cuda.get_device_name(),
                "not_installed": reasons,
                "cases": {
                    case: {trial.name: trial.milliseconds or trial.reason for trial in trials}
                    for case, trials in cases.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
