"""`umbrella bench keystrokes`: a session of typing, key by key."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from umbrella_daemon.cli.bench_options import (
    EXISTING,
    FILE,
    Output,
    finish,
    llama_options,
    output_options,
    pair_option,
    session,
)
from umbrella_daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from umbrella_daemon.bench.replay import Pace


@click.command()
@pair_option
@click.option(
    "--trace",
    "trace_file",
    type=EXISTING,
    metavar="FILE",
    help="Replay a recorded session; without it one is made up from real code.",
)
@click.option(
    "--keys",
    type=click.IntRange(min=1),
    default=120,
    show_default=True,
    metavar="N",
    help="How many keys of it.",
)
@click.option(
    "--seed",
    type=int,
    default=11,
    show_default=True,
    metavar="N",
    help="Which session is made up; the same one for the same number.",
)
@click.option(
    "--pace",
    type=click.Choice(["answers", "typed"]),
    default="answers",
    show_default=True,
    help="Each key waits for its answer; or keys come when they were typed.",
)
@click.option("--keep-trace", type=FILE, metavar="FILE", help="Write the session into FILE.")
@llama_options
@output_options
@click.pass_obj
def keystrokes(
    invocation: Invocation,
    /,
    pair: str | None,
    trace_file: Path | None,
    keys: int,
    seed: int,
    pace: "Pace",
    keep_trace: Path | None,
    llama_server: Path | None,
    gguf: Path | None,
    draft_gguf: Path | None,
    **options: Any,
) -> None:
    """Replay a session of typing through the language server and a daemon of its own.

    For each key: what answered it (what was known or prepared, the model, nothing and why), how
    long that took, and what the model had to compute. At the pace of answers two runs do exactly
    the same work; at the pace it was typed in, a key that comes too soon takes the request before
    it back.
    """
    from umbrella_daemon import typing_trace
    from umbrella_daemon.bench.keystrokes import Session, series
    from umbrella_daemon.bench.page import TYPING, page
    from umbrella_daemon.bench.peers import llama_of
    from umbrella_daemon.bench.picture import draw_keys
    from umbrella_daemon.bench.typist import synthesise
    from umbrella_engine.hardware import choose_device

    output = Output.take(options)
    trace = typing_trace.read(trace_file) if trace_file else synthesise(seed, keys)
    trace = typing_trace.first(trace, keys)
    if keep_trace is not None:
        typing_trace.write(trace, keep_trace)
    with session(invocation, pair, output) as run:
        server = llama_of(run, llama_server, gguf, draft_gguf)
        run.begin(str(choose_device(run.settings.engine.device)))
        typing = Session(trace, pace, run.advanced)
        ours, subject = typing.ours(run.settings)
        played = [ours]
        if server is not None:
            played += typing.llama(server, infills=run.loader.fills_in())
        result = run.result(
            "keystrokes",
            tuple(one.row for one in played),
            notes=(f"trace: {trace.header.source}, {len(ours.keys)} keys; pace: {pace}",),
            series={one.name: series(one.keys) for one in played},
            subject=subject,
        )
    finish(result, page(result, TYPING), output, draw_keys)


COMMANDS = (keystrokes,)
