"""`umbrella bench code | mtbench | peers`: how fast text is written."""

from pathlib import Path
from typing import Any

import click

from umbrella_daemon.cli.bench_options import (
    EXISTING,
    FOLDER,
    Output,
    budget_options,
    finish,
    llama_options,
    output_options,
    pair_option,
    session,
)
from umbrella_daemon.cli.invocation import Invocation

CODE_SECONDS, CODE_LIMIT, CODE_TOKENS = 60.0, 100, 128
CHAT_SECONDS, CHAT_LIMIT, CHAT_TOKENS = 60.0, 80, 256
DEFAULT_SEED = 11


def _hole_options(command: Any) -> Any:
    for option in (
        click.option(
            "--prompts",
            type=EXISTING,
            metavar="FILE",
            help="Holes as JSON lines with prompt, suffix and canonical_solution (.gz too).",
        ),
        click.option(
            "--repository",
            type=FOLDER,
            metavar="FOLDER",
            help="Cut holes into the source files of FOLDER instead of Python's own library.",
        ),
        click.option(
            "--seed",
            type=int,
            default=DEFAULT_SEED,
            show_default=True,
            metavar="N",
            help="Which holes; the same ones for the same number and files.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@pair_option
@_hole_options
@budget_options(CODE_SECONDS, CODE_LIMIT, CODE_TOKENS)
@click.option("--compare-plain", is_flag=True, help="Also without drafts, taking turns.")
@output_options
@click.pass_obj
def code(
    invocation: Invocation,
    /,
    pair: str | None,
    prompts: Path | None,
    repository: Path | None,
    seed: int,
    seconds: float,
    limit: int,
    tokens: int,
    compare_plain: bool,
    **options: Any,
) -> None:
    """Measure how fast holes in code are filled, and how well.

    Greedy, through the engine as the daemon loads it with your settings and tuning. Rates leave out
    the prompt and the first step; quality holds as many lines as stood in the hole against them.
    """
    from umbrella_daemon.bench.code import Holes, measure
    from umbrella_daemon.bench.page import over_this, page
    from umbrella_daemon.bench.picture import draw_rates

    output = Output.take(options)
    holes = Holes(prompts, repository, limit, seed).cut()
    with session(invocation, pair, output) as run:
        writers = run.writers(plain=compare_plain)
        run.begin()
        rows = measure(
            writers,
            run.engine,
            holes,
            run.settings.prompt,
            count=tokens,
            seconds=seconds,
            advanced=run.advanced,
        )
        result = run.result("code", over_this(rows) if compare_plain else rows)
    finish(result, page(result), output, draw_rates)


@click.command()
@pair_option
@click.option(
    "--questions",
    type=EXISTING,
    required=True,
    metavar="FILE",
    help='Questions as JSON lines with turns, as in {"turns": ["...", "..."]}; MT-Bench has 80.',
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0.01, max=2.0),
    default=0.7,
    show_default=True,
    metavar="T",
    help="Of the sampled row; the other one is greedy.",
)
@budget_options(CHAT_SECONDS, CHAT_LIMIT, CHAT_TOKENS)
@click.option("--compare-plain", is_flag=True, help="Also without drafts, taking turns.")
@output_options
@click.pass_obj
def mtbench(
    invocation: Invocation,
    /,
    pair: str | None,
    questions: Path,
    temperature: float,
    seconds: float,
    limit: int,
    tokens: int,
    compare_plain: bool,
    **options: Any,
) -> None:
    """Measure how fast two-turn conversations are written, greedy and sampled.

    Questions are FastChat's (MT-Bench), not part of this package, or any file of that form. Every
    other one is sampled. Answers are not judged. Rates leave out the prompt and the first step.
    """
    from umbrella_daemon.bench.mtbench import chat_template, measure
    from umbrella_daemon.bench.mtbench import questions as read_questions
    from umbrella_daemon.bench.page import page
    from umbrella_daemon.bench.picture import draw_rates
    from umbrella_engine.interface import GREEDY, Sampling

    output = Output.take(options)
    asked = read_questions(questions, limit)
    with session(invocation, pair, output) as run:
        template = chat_template(run.loader.folders()["target"])
        sampling = (GREEDY, Sampling(temperature=temperature, seed=DEFAULT_SEED))
        ways = run.ways(sampling, plain=compare_plain)
        run.begin()
        rows = measure(
            ways,
            asked,
            template,
            run.engine.tokenizer,
            count=tokens,
            context_tokens=run.engine.info.context_tokens,
            seconds=seconds,
            advanced=run.advanced,
        )
        result = run.result("mtbench", rows)
    finish(result, page(result), output, draw_rates)


@click.command()
@pair_option
@_hole_options
@budget_options(90.0, 40, 64)
@click.option(
    "--modes",
    default="generate,static cache,prompt lookup,assisted",
    show_default=True,
    metavar="LIST",
    help="Ways of transformers to compare with, separated by commas; also: static cache compiled "
    "(on a CPU, where that is not done by itself; takes a minute).",
)
@click.option(
    "--openai",
    multiple=True,
    metavar="URL",
    help="Also the completions server there (vLLM, SGLang, Ollama ...); may be given again.",
)
@llama_options
@output_options
@click.pass_obj
def peers(
    invocation: Invocation,
    /,
    pair: str | None,
    prompts: Path | None,
    repository: Path | None,
    seed: int,
    seconds: float,
    limit: int,
    tokens: int,
    modes: str,
    openai: tuple[str, ...],
    llama_server: Path | None,
    gguf: Path | None,
    draft_gguf: Path | None,
    **options: Any,
) -> None:
    """Measure this engine beside others: same prompts, same weights, taking turns in one run.

    The prompts are the same token ids for all, in the order that the model was trained on and
    without token healing, which only this engine has; so greedy texts should be the same too.
    """
    from umbrella_daemon.bench.page import over_this, page
    from umbrella_daemon.bench.peers import Race, llama_of
    from umbrella_daemon.bench.picture import draw_rates

    output = Output.take(options)
    chosen = [mode.strip() for mode in modes.split(",") if mode.strip()]
    with session(invocation, pair, output) as run:
        server = llama_of(run, llama_server, gguf, draft_gguf)
        race = Race(run, chosen, server, [address.rstrip("/") for address in openai])
        rows, notes = race.run(
            prompts, repository, limit=limit, seed=seed, count=tokens, seconds=seconds
        )
        result = run.result("peers", over_this(rows), notes=notes)
    finish(result, page(result), output, draw_rates)


COMMANDS = (code, mtbench, peers)
