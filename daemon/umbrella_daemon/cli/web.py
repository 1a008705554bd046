"""`umbrella web`: chat, completion playground and figures in a browser."""

import asyncio
from importlib.util import find_spec
from typing import Final

import click

from umbrella_daemon.cli.invocation import Invocation

PACKAGES: Final = ("fastapi", "gradio", "uvicorn")  # what the extra brings
MISSING: Final = "The page needs the extra `web`: pip install 'umbrella-lsp[web]'"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Where to listen; 0: any that is free.")
@click.option("--open", "opens", is_flag=True, help="Open the page in your browser.")
@click.pass_obj
def web(invocation: Invocation, port: int | None, opens: bool) -> None:
    """Serve a page on 127.0.0.1: chat, completion playground, live figures.

    It talks to the daemon of your editors, for this user alone: the address that is printed holds
    a token. The page loads nothing from elsewhere and works offline.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise click.ClickException(f"{MISSING} ({', '.join(missing)} not found).")

    from umbrella_daemon.cli.output import console
    from umbrella_daemon.web.serving import serve

    settings = invocation.settings({} if port is None else {"web.port": str(port)})

    def listening(address: str) -> None:
        click.echo(f"Open {address}\nCtrl-C ends the page; the daemon goes on.")
        if opens:
            click.launch(address)

    try:
        asyncio.run(serve(settings, console(stderr=True), listening))
    except KeyboardInterrupt:
        click.echo("The page is closed.")


COMMANDS = (web,)
