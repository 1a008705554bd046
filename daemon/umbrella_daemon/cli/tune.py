"""`umbrella tune`: measure the pair on this machine and store how to draft."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from umbrella_daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from umbrella_daemon.settings import Settings
    from umbrella_engine.interface import Progress
    from umbrella_engine.shape.tuning import Tuning


@click.command()
@click.option("--pair", metavar="NAME", help="Which pair to measure; see `umbrella models`.")
@click.option(
    "--corpus",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Source files to measure on instead of Python's standard library, say your project.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    metavar="N",
    help="About how long to measure once the models are loaded.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also draw it into FILE (.png, .svg, .pdf); needs umbrella-lsp[plot].",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_obj
def tune(
    invocation: Invocation,
    pair: str | None,
    corpus: Path | None,
    seconds: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure which way of drafting is fastest for the pair on this machine.

    The target writes into holes of source files, the draft's guesses are held against it, forward
    passes are timed, and every preset drafts the same text. The result is stored for the pair, the
    device and the dtype; a daemon that starts later takes it up where draft.preset is "auto".
    """
    import msgspec

    from umbrella_daemon.cli.output import console
    from umbrella_daemon.paths import tunings_directory
    from umbrella_daemon.tuning_page import draw, drawing_library, page
    from umbrella_engine.shape.tuning import write

    if plot is not None:
        drawing_library()  # what is missing is told before the minutes, not after them
    tuning = _measure(invocation.settings({"pair": pair} if pair else None), corpus, seconds)
    path = write(tuning, tunings_directory())
    if plot is not None:
        draw(tuning, plot)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(tuning), indent=2))
        return
    out = console()
    out.print(page(tuning))
    out.print(f"Stored in {path}", style="dim", highlight=False)
    out.print("A running daemon takes it up once started anew: umbrella stop", style="dim")


def _measure(settings: "Settings", corpus: Path | None, seconds: float) -> "Tuning":
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.paths import models_directory
    from umbrella_daemon.progress import ProgressDisplay
    from umbrella_daemon.resident.pick import pick_pair
    from umbrella_engine.load import capture_steps, load_models, subject_of
    from umbrella_engine.tune import PRESETS, Tuner
    from umbrella_engine.tune.corpus import default_folder

    pair, _ = pick_pair(settings)
    with ProgressDisplay(console(stderr=True)) as display:

        def show(progress: "Progress") -> None:
            percent = progress.done * 100 // progress.total if progress.total else None
            display.show(progress.message, percent)

        models = load_models(
            pair,
            settings.engine,
            settings.draft,
            models_directory(settings),
            show,
            offline=settings.models.offline,
        )
        captured = capture_steps(models, PRESETS, settings.draft, show)
        tuner = Tuner(models, settings.draft, seconds, show, captured)
        return tuner.run(subject_of(pair, settings.engine), corpus or default_folder())


COMMANDS = (tune,)
