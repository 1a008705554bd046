"""`umbrella bench report`: tables of what was measured."""

from pathlib import Path

import click

from umbrella_daemon.cli.bench_options import EXISTING


@click.command()
@click.option(
    "--add",
    type=EXISTING,
    multiple=True,
    metavar="RESULT",
    help="Keep this result, a file that --out wrote; may be given again.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where results are kept; without it in your data directory.",
)
@click.option(
    "--into",
    type=EXISTING,
    metavar="FILE",
    help="Put the tables between their marks in this Markdown file instead of printing them.",
)
def report(add: tuple[Path, ...], results: Path | None, into: Path | None) -> None:
    """Print tables of all results as Markdown, those that came with this release among them.

    One row is one machine with one pair; results of different hardware are never mixed.
    """
    from umbrella_daemon.bench import report as tables
    from umbrella_daemon.paths import bench_directory

    folder = results or bench_directory()
    for path in add:
        click.echo(f"Kept in {tables.add(path, folder)}", err=True)
    found = tables.stored(dict.fromkeys((tables.OWN, folder)))
    if into is None:
        click.echo(tables.markdown(found), nl=False)
        return
    text = into.read_text("utf-8")
    for bench, table in tables.tables(found).items():
        text = tables.into(text, bench, table)
    into.write_text(text, "utf-8")
    click.echo(f"The tables stand in {into}", err=True)


COMMANDS = (report,)
