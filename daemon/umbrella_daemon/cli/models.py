"""`umbrella models` and `umbrella models get NAME`: target + draft pairs and their weights."""

import json
from typing import TYPE_CHECKING

import click

from umbrella_daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from umbrella_daemon.settings import Settings
    from umbrella_engine.config import ModelSource, PairConfig
    from umbrella_engine.interface import Progress


@click.group(invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List the pairs of models, or get the weights of one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_obj
def list_models(invocation: Invocation, as_json: bool = False) -> None:
    """List the pairs: size, memory, whether the weights are here, which one is chosen and why."""
    from rich.table import Table

    from umbrella_daemon.cli.output import console
    from umbrella_daemon.pairs import list_pairs
    from umbrella_daemon.paths import models_directory
    from umbrella_daemon.resident.pick import pick_pair
    from umbrella_daemon.settings import SettingsError
    from umbrella_engine.errors import EngineError

    settings = invocation.settings()
    try:
        pair, why = pick_pair(settings)
        chosen = pair.name
    except (EngineError, SettingsError) as error:  # the list may be what helps
        chosen, why = "", str(error)
    rows = [_row(pair, settings, chosen) for pair in list_pairs()]
    if as_json:
        click.echo(json.dumps({"chosen": chosen, "why": why, "pairs": rows}, indent=2))
        return
    table = Table("", "pair", "download", "memory", "here", "", header_style="dim", box=None)
    for column in table.columns[2:4]:
        column.justify = "right"
    for row in rows:
        mark = "→" if row["chosen"] else ""
        sizes = [f"{row[key]:,} MB" if row[key] else "-" for key in ("download_mb", "memory_mb")]
        here = "yes" if row["fetched"] else "no"
        table.add_row(mark, str(row["name"]), *sizes, here, str(row["summary"]))
    out = console()
    out.print(table)
    out.print(f"\n→ {chosen}: {why}" if chosen else f"\n{why}", markup=False, highlight=False)
    out.print(f"Weights are kept in {models_directory(settings)}", style="dim", highlight=False)


def _row(pair: "PairConfig", settings: "Settings", chosen: str) -> dict[str, object]:
    from umbrella_daemon.paths import models_directory
    from umbrella_engine.sources import is_fetched

    directory = models_directory(settings)
    return {
        "name": pair.name,
        "summary": pair.summary,
        "download_mb": sum(source.download_mb for source in _sources(pair)),
        "memory_mb": pair.needs_mb,
        "fetched": all(is_fetched(source, directory) for source in _sources(pair)),
        "chosen": pair.name == chosen,
    }


def _sources(pair: "PairConfig") -> "list[ModelSource]":
    return [pair.target] if pair.draft is None else [pair.target, pair.draft]


@models.command("get")
@click.argument("name")
@click.pass_obj
def get_model(invocation: Invocation, name: str) -> None:
    """Fetch and prepare the weights of pair NAME, so that the daemon starts without waiting."""
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.paths import models_directory
    from umbrella_daemon.progress import ProgressDisplay
    from umbrella_daemon.resident.pick import pick_pair
    from umbrella_engine.sources import fetch_model

    settings = invocation.settings({"pair": name})
    pair, _ = pick_pair(settings)
    with ProgressDisplay(console(stderr=True)) as display:

        def show(progress: "Progress") -> None:
            percent = progress.done * 100 // progress.total if progress.total else None
            display.show(progress.message, percent)

        for source in _sources(pair):
            folder = fetch_model(
                source, models_directory(settings), show, offline=settings.models.offline
            )
            click.echo(f"{pair.name}: {folder}")


COMMANDS = (models,)
