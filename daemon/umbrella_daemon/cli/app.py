"""The group of all commands, its global options, and errors as messages instead of tracebacks."""

from pathlib import Path

import click

from umbrella_daemon import __version__
from umbrella_daemon.cli import (
    api,
    bench,
    chat,
    complete,
    diagnose,
    distill,
    models,
    service,
    tune,
    web,
)
from umbrella_daemon.cli.invocation import Invocation

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(click.Group):
    """Turns the errors that are raised on purpose into a message and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(error, _expected()):
                raise click.ClickException(str(error)) from error
            raise


def _expected() -> tuple[type[Exception], ...]:
    from umbrella_daemon.client import DaemonError
    from umbrella_daemon.lsp_probe import ProbeError
    from umbrella_daemon.place import PlaceError
    from umbrella_daemon.settings import SettingsError
    from umbrella_daemon.typing_trace import TraceError
    from umbrella_engine.errors import EngineError

    return (DaemonError, EngineError, PlaceError, ProbeError, SettingsError, TraceError)


def _assignments(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for key, equals, _value in pairs:
        if not equals or not key.strip():
            raise click.BadParameter(f"{key!r} has no value; write SECTION.KEY=VALUE.")
    return {key.strip(): value for key, _, value in pairs}


@click.group(cls=Commands, context_settings=CONTEXT)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Read settings from FILE instead of your own file.",
)
@click.option(
    "-s",
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_assignments,
    help="Change a setting for this call, for example completion.max_tokens=32.",
)
@click.version_option(__version__, "--version", message="umbrella %(version)s")
@click.pass_context
def main(ctx: click.Context, config: Path | None, assignments: dict[str, str]) -> None:
    """Private code completion from a model on your own machine.

    Editors talk to the language server, umbrella-lsp; this command looks after the daemon behind
    it. Begin with `umbrella demo`; when something does not work, `umbrella doctor` says what to do.
    """
    ctx.obj = Invocation(config, assignments)


for _module in (service, complete, chat, models, tune, distill, api, web, bench, diagnose):
    for _command in _module.COMMANDS:
        main.add_command(_command)
