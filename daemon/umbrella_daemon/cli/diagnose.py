"""`umbrella doctor` and `umbrella demo`: does it work here, and what does it look like."""

import asyncio
import json

import click
import msgspec

from umbrella_daemon.cli.invocation import Invocation


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_obj
def doctor(invocation: Invocation, as_json: bool) -> None:
    """Check everything that completions need and say what to do.

    Exit code 1 when something keeps completions from coming.
    """
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.doctor import examine
    from umbrella_daemon.doctor.report import line

    out = console()
    findings = []

    async def run() -> None:
        async for name, finding in examine(invocation.settings, invocation.config):
            findings.append({"check": name} | msgspec.to_builtins(finding))
            if not as_json:
                out.print(line(name, finding))

    asyncio.run(run())
    if as_json:
        click.echo(json.dumps(findings, indent=2))
    if any(finding["level"] == "fail" for finding in findings):
        raise SystemExit(1)


@click.command()
@click.option("--stop", is_flag=True, help="Stop the daemon at the end.")
@click.pass_obj
def demo(invocation: Invocation, stop: bool) -> None:
    """Complete a sample file as an editor does, and show what it cost.

    Fetches the embedded default model the first time (93 MB).
    """
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.demo import demo

    asyncio.run(demo(invocation.settings(), console(), stop=stop))


COMMANDS = (doctor, demo)
