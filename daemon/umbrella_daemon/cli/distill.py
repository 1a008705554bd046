"""`umbrella distill`: train a draft for a target, or teach a target to fill in the middle."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from umbrella_daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from umbrella_engine.distill.data import About, Rows
    from umbrella_engine.distill.workshop import Bench
    from umbrella_engine.interface import Report

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@dataclass(frozen=True)
class Reading:
    """What the options that all commands share say of the code to learn from."""

    corpus: tuple[Path, ...]
    rows_from: Path | None
    rows: int
    row_tokens: int
    permissive: bool
    exclude: tuple[Path, ...]
    seed: int
    apart: bool = False  # rows are made by a command of their own


def _corpus_options(function: FunctionT) -> FunctionT:
    options = [
        click.option("--target", required=True, metavar="T",
                     help="Pair whose target it is, or the path of a model."),
        click.option("--corpus", type=FOLDER, multiple=True, metavar="DIR",
                     help="Folder of code, or of repositories; may be repeated."),
        click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True,
                     metavar="DIR", help="Where the result goes; also what is gone on with."),
        click.option("--rows", type=click.IntRange(min=1), default=20_000, show_default=True,
                     metavar="N", help="How many pieces of code to cut at most."),
        click.option("--row-tokens", type=click.IntRange(min=128), default=1024,
                     show_default=True, metavar="N", help="Longest piece, in tokens."),
        click.option("--permissive", is_flag=True,
                     help="Only repositories whose licence is known to be permissive."),
        click.option("--exclude", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                     multiple=True, metavar="FILE",
                     help="Text that must not be learned, such as a benchmark's; may be repeated."),
        click.option("--seed", default=11, show_default=True, metavar="N"),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def _training_options(function: FunctionT) -> FunctionT:
    options = [
        click.option("--rows-from", type=FOLDER, metavar="DIR",
                     help="Rows that `umbrella distill rows` made, instead of --corpus."),
        click.option("--minutes", type=click.FloatRange(min=0.01), default=10.0,
                     show_default=True, metavar="N", help="How long to train, in all runs."),
        click.option("--steps", type=click.IntRange(min=0), default=0, metavar="N",
                     help="Steps at most; 0: as many as the minutes allow."),
        click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="X",
                     help="Highest learning rate."),
        click.option("--rows-per-step", type=click.IntRange(min=1), default=64,
                     show_default=True, metavar="N"),
        click.option("--rows-per-pass", type=click.IntRange(min=1), default=16,
                     show_default=True, metavar="N", help="Fewer need less memory."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def distill() -> None:
    """Train a draft for a target, or teach a target to fill in the middle, on your own code."""


@distill.command("rows")
@_corpus_options
@click.pass_obj
def rows_command(invocation: Invocation, /, target: str, out: Path, **options: Any) -> None:
    """Cut code into the rows that training reads, to train elsewhere or more than once."""
    from umbrella_engine.distill import data

    reading = Reading(rows_from=None, apart=True, **options)
    with _showing() as report:
        rows = _rows(invocation, reading, _folder_of(invocation, target, report), report)
    data.save(out, *rows)
    about = rows[2]
    click.echo(f"{about.rows:,} rows, {about.tokens:,} tokens, in {out}")


@distill.command("fim")
@_corpus_options
@_training_options
@click.option("--rank", type=click.IntRange(min=1), default=32, show_default=True, metavar="N",
              help="Of the low-rank changes.")  # fmt: skip
@click.option("--full", is_flag=True, help="Train all weights; leaves a whole model.")
@click.pass_obj
def fim_command(
    invocation: Invocation, /, target: str, out: Path, rank: int, full: bool, **options: Any
) -> None:
    """Teach a target without fill-in-the-middle tokens to complete between two texts.

    Leaves an adapter in --out, to be named as `adapter` under [target] of a pair's TOML, and a card
    with its data and figures. Interrupted, the same command goes on where it ended.
    """
    from umbrella_engine.distill.workshop import FimSettings, teach_fim

    settings = FimSettings(rank=0) if full else FimSettings(rank, float(rank))
    with _showing() as report:
        bench, rows = _begin(invocation, target, out, options, 1e-4 if full else 2e-3, report)
        run = teach_fim(bench, rows, settings)
    _tell(out, run.judgements[-1].figures)


@distill.command("draft")
@_corpus_options
@_training_options
@click.option("--layers", type=click.IntRange(min=1), default=2, show_default=True, metavar="N")
@click.option("--width", type=click.IntRange(min=0), default=0, metavar="N",
              help="0: the target's, up to 1024.")  # fmt: skip
@click.option("--intermediate", type=click.IntRange(min=0), default=0, metavar="N",
              help="Inner width of a layer; 0: twice the width.")  # fmt: skip
@click.option("--output-vocab", type=click.IntRange(min=0), default=8192, show_default=True,
              metavar="N", help="Tokens it may speak; 0: all, best for a GPU.")  # fmt: skip
@click.option("--start", type=FOLDER, metavar="DIR", help="A draft to go on from.")
@click.pass_obj
def draft_command(
    invocation: Invocation,
    /,
    target: str,
    out: Path,
    layers: int,
    width: int,
    intermediate: int,
    output_vocab: int,
    start: Path | None,
    **options: Any,
) -> None:
    """Train a small draft that guesses what a target will say about code like yours.

    It learns the target's own distribution, on code laid out as prompts are and on what the target
    writes by itself. Leaves its folder in --out, to be named as `path` under [draft] of a pair's
    TOML, and a card. Interrupted, the same command goes on where it ended.
    """
    from umbrella_engine.distill.workshop import DraftSettings, teach_draft

    settings = DraftSettings(layers, width, intermediate, output_vocab)
    with _showing() as report:
        # a draft that knows something loses it to a high rate
        rate = 2e-3 if start is None else 3e-4
        bench, rows = _begin(invocation, target, out, options, rate, report)
        run = teach_draft(bench, rows, settings, start)
    _tell(out, run.judgements[-1].figures)


def _begin(
    invocation: Invocation,
    target: str,
    out: Path,
    options: dict[str, Any],
    rate: float,
    report: "Report",
) -> "tuple[Bench, tuple[Rows, Rows, About]]":
    """Read the rows and set up a run from the options that both trainings share."""
    from umbrella_engine.distill.training import Schedule
    from umbrella_engine.distill.workshop import Bench

    schedule = Schedule(
        minutes=options.pop("minutes"),
        steps=options.pop("steps"),
        rate=options.pop("rate") or rate,
        rows_per_step=options.pop("rows_per_step"),
        rows_per_pass=options.pop("rows_per_pass"),
        seed=options["seed"],
    )
    folder = _folder_of(invocation, target, report)
    rows = _rows(invocation, Reading(**options), folder, report)
    device = invocation.settings().engine.device
    return Bench(folder, out, device, _command(), report, schedule), rows


def _command() -> str:
    """Give what was typed."""
    return shlex.join(["umbrella", *sys.argv[1:]])


def _folder_of(invocation: Invocation, target: str, report: "Report") -> Path:
    """Fetch the target of a pair, or the model at a path."""
    from umbrella_daemon.pairs import load_pair
    from umbrella_daemon.paths import models_directory
    from umbrella_engine.sources import fetch_model

    settings = invocation.settings()
    source = load_pair(target).target
    return fetch_model(source, models_directory(settings), report, offline=settings.models.offline)


def _rows(
    invocation: Invocation, reading: Reading, target: Path, report: "Report"
) -> "tuple[Rows, Rows, About]":
    """Read rows that were made before, or cut them from the folders given."""
    from umbrella_engine.distill import data

    if reading.rows_from is not None:
        return data.load(reading.rows_from)
    if not reading.corpus:
        raise click.UsageError("name what to learn from: --corpus DIR, or --rows-from DIR")
    from umbrella_daemon.entropy import holds_secret
    from umbrella_daemon.scope import refusal
    from umbrella_engine.distill.corpus import Rules, read_corpus
    from umbrella_engine.distill.excluded import Excluded, texts_of
    from umbrella_engine.distill.workshop import RowSettings, cut_rows

    completion = invocation.settings().completion
    rules = Rules(
        permissive=reading.permissive,
        seed=reading.seed,
        may_read=lambda path: refusal(str(path), "", completion) is None,
        is_clean=lambda text: not holds_secret(text),
    )
    excluded = Excluded(text for path in reading.exclude for text in texts_of(path))
    folders = [folder.absolute() for folder in reading.corpus]
    corpus = read_corpus(folders, rules, excluded, report)
    settings = RowSettings(
        reading.rows,
        reading.row_tokens,
        reading.seed,
        processes=os.cpu_count() or 1,
        command=_command() if reading.apart else "",
    )
    return cut_rows(corpus, target, settings, report)


@contextmanager
def _showing() -> "Iterator[Report]":
    """Show progress on the terminal."""
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.progress import ProgressDisplay

    with ProgressDisplay(console(stderr=True)) as display:

        def show(progress: Any) -> None:
            percent = progress.done * 100 // progress.total if progress.total else None
            display.show(progress.message, percent)

        yield show


def _tell(out: Path, figures: dict[str, float]) -> None:
    told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
    click.echo(f"{out}: on held-out code {told}")


COMMANDS = (distill,)
