"""`umbrella bench device`: what the machine can do, and what a step of the pair costs on it."""

from typing import Any

import click

from umbrella_daemon.cli.bench_options import (
    Output,
    finish,
    output_options,
    pair_option,
    session,
)
from umbrella_daemon.cli.invocation import Invocation


@click.command()
@pair_option
@click.option(
    "--length",
    type=click.IntRange(min=64),
    default=512,
    show_default=True,
    metavar="N",
    help="Tokens of code that timed steps stand behind.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=10.0,
    show_default=True,
    metavar="N",
    help="About how long steps are timed once all is loaded; 4 rounds at least, 16 at most.",
)
@click.option(
    "--megabytes",
    type=click.IntRange(min=16),
    default=1024,
    show_default=True,
    metavar="N",
    help="Size of a buffer (MiB) for the memory's rates; should be far larger than any cache.",
)
@output_options
@click.pass_obj
def device(
    invocation: Invocation,
    /,
    pair: str | None,
    length: int,
    seconds: float,
    megabytes: int,
    **options: Any,
) -> None:
    """Measure this machine's memory and launches, and what a step of the pair costs on it.

    Rates of reading and copying memory; on a GPU those between it and the host, and what launching
    kernels and replaying graphs costs; the time of a forward pass of 1 to 64 rows for target and
    draft, and how near it comes to the time in which memory gives the weights.
    """
    from umbrella_daemon.bench.device import Device
    from umbrella_daemon.bench.device_page import device_page, draw_device

    output = Output.take(options)
    with session(invocation, pair, output) as run:
        result = Device(run, length, seconds, megabytes).run()
    finish(result, device_page(result), output, draw_device)


COMMANDS = (device,)
