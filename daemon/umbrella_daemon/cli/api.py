"""`umbrella api`: the resident pair over HTTP."""

import click

from umbrella_daemon.cli.invocation import Invocation

MISSING = "the API's packages are not installed: pip install 'umbrella-lsp[api]'"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Where to listen; 0: any that is free.")
@click.option("--no-token", is_flag=True, help="Let every program of this machine ask.")
@click.option("--show-token", is_flag=True, help="Print the token and exit.")
@click.pass_obj
def api(invocation: Invocation, port: int | None, no_token: bool, show_token: bool) -> None:
    """Serve OpenAI's, llama.cpp's and Ollama's API on 127.0.0.1.

    Programs and editor plugins made for these share the daemon and its models with your editors;
    editors go first. /docs describes every request.
    """
    from umbrella_daemon.api_token import token_in_force

    if show_token:
        click.echo(token_in_force()[0])
        return
    try:
        from umbrella_daemon.api.serving import serve
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{MISSING} ({error.name} is missing).") from None
    changes = {} if port is None else {"api.port": str(port)}
    settings = invocation.settings(changes | ({"api.token": "false"} if no_token else {}))
    token, path, made = token_in_force() if settings.api.token else ("", None, False)
    if made:
        click.echo(f"Made a token, kept in {path}: {token}")

    def listening(address: str) -> None:
        click.echo(f"Serving {address} (described at {address}/docs). Ctrl-C ends it.")
        if token and not made:
            click.echo(f"Clients need the token in {path}; `umbrella api --show-token` prints it.")

    serve(settings, token, listening)


COMMANDS = (api,)
