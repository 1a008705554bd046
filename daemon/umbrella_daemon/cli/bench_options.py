"""What the commands of `umbrella bench` have in common: options, progress, how they end."""

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
    from rich.console import RenderableType

    from umbrella_daemon.bench.result import Result
    from umbrella_daemon.bench.session import Session

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, dir_okay=False)
EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a result goes besides the terminal."""

    out: Path | None
    plot: Path | None
    commit: str

    @classmethod
    def take(cls, options: dict[str, Any]) -> "Output":
        """Take these options out of a command's own. Raises BenchError where --plot cannot be."""
        if options["plot"] is not None:
            from umbrella_daemon.bench.picture import drawing_library

            drawing_library()  # what is missing is told before the minutes, not after them
        return cls(options.pop("out"), options.pop("plot"), options.pop("commit"))


def output_options(command: CommandT) -> CommandT:
    """Add the options of `Output`."""
    for option in (
        click.option("--out", type=FILE, metavar="FILE", help="Keep the result as JSON in FILE."),
        click.option(
            "--plot",
            type=FILE,
            metavar="FILE",
            help="Also draw it into FILE (.png, .svg, .pdf); needs umbrella-lsp[plot].",
        ),
        click.option(
            "--commit", default="", metavar="TEXT", help="What to note where git does not know it."
        ),
    ):
        command = option(command)
    return command


def llama_options(command: CommandT) -> CommandT:
    """Add what says which llama-server to compare with."""
    for option in (
        click.option(
            "--llama-server",
            type=EXISTING,
            metavar="PATH",
            help="Also llama.cpp's server: this binary, started for it and ended after it.",
        ),
        click.option(
            "--gguf",
            type=EXISTING,
            metavar="FILE",
            help="The weights it gets; without it the pair's own GGUF file.",
        ),
        click.option(
            "--draft-gguf", type=EXISTING, metavar="FILE", help="A draft model for it, too."
        ),
    ):
        command = option(command)
    return command


def pair_option(command: CommandT) -> CommandT:
    """Add --pair."""
    return click.option(
        "--pair",
        metavar="NAME",
        help="Which pair: a name of `umbrella models`, a TOML file, a model folder or GGUF file.",
    )(command)


def budget_options(seconds: float, limit: int, tokens: int) -> Callable[[CommandT], CommandT]:
    """Add --seconds, --limit and --tokens with these defaults."""

    def add(command: CommandT) -> CommandT:
        for option in (
            click.option(
                "--seconds",
                type=click.FloatRange(min=1),
                default=seconds,
                show_default=True,
                metavar="N",
                help="About how long to measure once all is loaded and warm.",
            ),
            click.option(
                "--limit",
                type=click.IntRange(min=1),
                default=limit,
                show_default=True,
                metavar="N",
                help="At most so many prompts.",
            ),
            click.option(
                "--tokens",
                type=click.IntRange(min=2, max=2048),
                default=tokens,
                show_default=True,
                metavar="N",
                help="Longest answer; it ends earlier where the model ends it.",
            ),
        ):
            command = option(command)
        return command

    return add


@contextmanager
def session(invocation: Invocation, pair: str | None, output: Output) -> Iterator["Session"]:
    """Give a benchmark its settings and its progress display."""
    from umbrella_daemon.bench.session import Session
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.progress import ProgressDisplay

    settings = invocation.settings({"pair": pair} if pair else None)
    with ProgressDisplay(console(stderr=True)) as display:
        yield Session(settings, command_line(), display.show, output.commit)


def finish(
    result: "Result",
    page: "RenderableType",
    output: Output,
    draw: "Callable[[Result, Path], None] | None" = None,
) -> None:
    """Show a result on standard error, its JSON as a line on standard output, and keep it."""
    import msgspec

    from umbrella_daemon.bench.result import write
    from umbrella_daemon.cli.output import console

    shown = console(stderr=True)
    shown.print(page)
    click.echo(msgspec.json.encode(result).decode())
    if output.out is not None:
        write(result, output.out)
        shown.print(f"Kept in {output.out}", style="dim", highlight=False)
    if output.plot is not None and draw is not None:
        draw(result, output.plot)
        shown.print(f"Drawn into {output.plot}", style="dim", highlight=False)


def command_line() -> str:
    """Give the command as it was typed, without the folders of this machine."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return shlex.join(["umbrella", *words])
