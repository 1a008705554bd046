"""What a step costs on a GPU, beside the bandwidth of the same run.

Usage: python -m tests.bench.bench_gpu [--shapes 0.5B 1.5B 7B 32B] [--length 2000] [--workers 12]
    [--speculation] [--trace FILE]

For each Qwen2.5 shape with random bf16 weights: the time of a forward pass of 1 … 64 rows behind
`length` tokens, one CUDA graph each, its kernels' shares, and the share of the best streaming rate
that a one-row pass reaches. Then attention alone at 4096 tokens with the 7B's heads, and
speculative steps of the 1.5B with the 0.5B: device time, time on the host's clock, the difference,
how much of it is device time of the same steps, whose text grows, and the host's waits that a
profiler saw inside. Kernels are compiled first by `workers` processes.
The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from tests.bench.gpu_models import (
    SHAPES,
    chain,
    compile_passes,
    graph_ms,
    random_fused,
    rates,
    weight_bytes,
)
from tests.bench.gpu_trace import trace
from umbrella_engine.cuda.decoder import FusedDecoder
from umbrella_engine.cuda.device_loop import Start
from umbrella_engine.cuda.shapes import PLAIN, TreeShape
from umbrella_engine.cuda.stepper import Stepper
from umbrella_engine.cuda.tiles import PRESETS

SPECULATIVE = (
    PLAIN,
    TreeShape(0, 1, (10, 5)),
    TreeShape(0, 1, (16, 15)),
    TreeShape(4),
    TreeShape(4, 1, (7, 4)),
    TreeShape(4, 4),
    TreeShape(5, 3),
    TreeShape(4, 4, (10, 5)),
    TreeShape(7, 4),
    TreeShape(8, 4),
)
STEPS = 100  # whose time on the host's clock is taken
console = Console(width=150)


def parts(decoder: FusedDecoder, preset: int) -> dict[str, Callable[[], None]]:
    """The launches of a pass, kind by kind, over all layers."""
    tiles, weights = decoder.tiles[preset], decoder.plain.weights
    layers = list(enumerate(weights.layers))

    def each(one: Callable[[int, Any], None]) -> Callable[[], None]:
        def launch() -> None:
            for index, layer in layers:
                one(index, layer)

        return launch

    return {
        "qkv": each(lambda i, layer: decoder._project(preset, tiles, i, layer)),
        "attention": each(lambda i, _: decoder._attend(preset, i)),
        "output": each(lambda _, layer: decoder._output(preset, tiles, layer)),
        "gated": each(lambda i, layer: decoder._gate(preset, tiles, i, layer)),
        "down": each(lambda i, layer: decoder._down(preset, tiles, i, layer)),
        "head": lambda: decoder._choose(preset, tiles, logits=False),
    }


def passes(shape: str, length: int, best_rate: float) -> dict[str, Any]:
    config = SHAPES[shape]
    decoder = random_fused(config, length + 4096)
    found: dict[str, Any] = {"bytes": weight_bytes(config), "ms": {}, "parts_ms": {}}
    table = Table(
        title=f"{shape} behind {length} tokens; floor {found['bytes'] / best_rate / 1e9:.2f} ms"
    )
    for column in ("rows", "ms", "of one row", *parts(decoder, 1)):
        table.add_column(column, justify="right")
    for preset in PRESETS:
        chain(decoder, preset, length)
        ms = graph_ms(partial(decoder.launch, preset, logits=False))
        shares = {name: graph_ms(launch, 9) for name, launch in parts(decoder, preset).items()}
        found["ms"][preset], found["parts_ms"][preset] = ms, shares
        cells = [f"{preset}", f"{ms:.3f}", f"{ms / found['ms'][1]:.2f}"]
        table.add_row(*cells, *(f"{share:.3f}" for share in shares.values()))
    found["tb_per_s"] = weight_bytes(config) / found["ms"][1] / 1e9
    found["share"] = found["tb_per_s"] / best_rate
    console.print(table)
    console.print(
        f"one row: {found['tb_per_s']:.2f} TB/s, {100 * found['share']:.0f} % of the rate"
    )
    if shape == "7B":
        found["attention_4096_us"] = {}
        for preset in PRESETS:
            chain(decoder, preset, 4096)
            ms = graph_ms(parts(decoder, preset)["attention"], 15)
            found["attention_4096_us"][preset] = 1e3 * ms / config.n_layers
        console.print("attention a layer at 4096, µs:", found["attention_4096_us"])
    return found


def speculation(length: int) -> dict[str, Any]:
    """Speculative steps of the 1.5B with the 0.5B: what the host adds to them."""
    target, draft = (random_fused(SHAPES[name], length + 4096) for name in ("1.5B", "0.5B"))
    stepper = Stepper(target, draft, SPECULATIVE)
    device = stepper.milliseconds(length)
    found: dict[str, Any] = {}
    for shape in SPECULATIVE:
        stepper.begin(Start(length, (0,), 0, 0), None)
        under_way = stepper.step(shape)
        host, began = 0.0, time.perf_counter()
        for _ in range(STEPS):
            start = time.perf_counter()
            following = stepper.step(shape)
            host += time.perf_counter() - start
            under_way.read()
            under_way = following
        wall = (time.perf_counter() - began) * 1e3 / STEPS
        torch.cuda.synchronize()
        unread = unread_ms(stepper, shape, length)
        found[f"depth {shape.depth} width {shape.width} copied {shape.copied}"] = {
            "device_ms": device[shape],
            "wall_ms": wall,
            "overhead_ms": wall - device[shape],
            "same_steps_ms": unread,
            "overhead_of_same_steps_ms": wall - unread,
            "launch_ms": host * 1e3 / STEPS,
        }
    stepper.begin(Start(length, (0,), 0, 0), None)
    found["trace"] = trace(stepper, TreeShape(4, 4))
    console.print(found)
    return found


def unread_ms(stepper: Stepper, shape: TreeShape, length: int) -> float:
    """Device time of one of `STEPS` steps behind `length` tokens, whose results nobody reads.

    The same steps as on the host's clock: text grows by what each settles, so that the last ones
    take longer than the few that `Stepper.milliseconds` times.
    """
    stepper.begin(Start(length, (0,), 0, 0), None)
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]  # type: ignore[no-untyped-call]
    marks[0].record()
    for _ in range(STEPS):
        stepper._graphs[shape].replay()
    marks[1].record()
    marks[1].synchronize()
    return float(marks[0].elapsed_time(marks[1])) / STEPS


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--shapes", nargs="*", default=["0.5B", "1.5B", "7B"])
    arguments.add_argument("--length", type=int, default=2000)
    arguments.add_argument("--workers", type=int, default=12)
    arguments.add_argument("--speculation", action="store_true")
    arguments.add_argument("--trace", type=Path, help="where the speculative steps' trace goes")
    chosen = arguments.parse_args()
    names = {*chosen.shapes, *(["0.5B", "1.5B"] if chosen.speculation else [])}
    compile_passes([SHAPES[name] for name in names], chosen.workers)
    found: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    found["rates_tb_per_s"] = rates()
    console.print(found)
    best_rate = max(found["rates_tb_per_s"].values())
    for name in chosen.shapes:
        found[name] = passes(name, chosen.length, best_rate)
        torch.cuda.empty_cache()
    if chosen.speculation:
        found["speculation"] = speculation(chosen.length)
        followed = found["speculation"].pop("trace")
        if chosen.trace:
            chosen.trace.write_text(json.dumps(followed, indent=1))
        assert not followed["waits"], f"the host waits inside: {followed['waits']}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
