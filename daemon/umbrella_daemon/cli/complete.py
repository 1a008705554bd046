"""`umbrella complete FILE:LINE:COL`: what an editor would show at a place of a file."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from umbrella_daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from umbrella_daemon.lsp.context import Question
    from umbrella_daemon.place import Place
    from umbrella_daemon.settings import Settings
    from umbrella_daemon.wire import Completed

NAME: Final = "umbrella complete"
TROUBLE: Final = ("failed", "daemon-lost", "error")  # silence that is a failure, not a decision


def _place(ctx: click.Context, param: click.Parameter, text: str) -> "Place":
    """Read the numbers from the right: the file's name may hold colons."""
    from umbrella_daemon.place import Place

    head, *tail = text.rsplit(":", 2)
    if len(tail) == 2 and not tail[0].isdecimal():
        head, tail = f"{head}:{tail[0]}", tail[1:]
    numbers = [int(part) if part.isdecimal() else 0 for part in tail]
    if not head or not numbers or 0 in numbers:
        raise click.BadParameter(f"{text!r} is not FILE:LINE:COL; both count from 1.", ctx, param)
    return Place(Path(head), *numbers)


@click.command()
@click.argument("place", callback=_place, metavar="FILE:LINE[:COL]")
@click.option("--json", "as_json", is_flag=True, help="Print text, reason and trace as JSON.")
@click.option("--language", metavar="ID", help="Language id; guessed from the file's name.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Longest suggestion.")
@click.pass_obj
def complete(
    invocation: Invocation,
    place: "Place",
    as_json: bool,
    language: str | None,
    max_tokens: int | None,
) -> None:
    """Print what an editor would show at a place of a file.

    LINE and COL count from 1; without COL the cursor is at the end of the line. On a terminal the
    suggestion is shown inside the file; elsewhere only its text is printed.
    """
    limit = {} if max_tokens is None else {"completion.max_tokens": str(max_tokens)}
    question, completed = asyncio.run(_complete(invocation.settings(limit), place, language))
    if as_json:
        click.echo(json.dumps(_fields(completed), indent=2))
    elif completed.text and question is not None:
        _show(place, question, completed)
    else:
        detail = f": {completed.detail}" if completed.detail else "."
        click.echo(f"Nothing to suggest ({completed.reason}){detail}", err=True)
    if completed.reason in TROUBLE:
        raise SystemExit(1)


def _show(place: "Place", question: "Question", completed: "Completed") -> None:
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.ghost import Ghost

    out = console()
    if not out.is_terminal:
        click.echo(completed.text)
        return
    prefix, suffix = question.prefix, question.suffix
    out.print(Ghost(str(place.path), prefix, completed.text, suffix, completed.replace_after))


def _fields(completed: "Completed") -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(completed)
    return {key: value for key, value in fields.items() if key not in ("t", "id")}


async def _complete(
    settings: "Settings", place: "Place", language: str | None
) -> "tuple[Question | None, Completed]":
    from umbrella_daemon.cli.output import console
    from umbrella_daemon.lsp.context import Silence
    from umbrella_daemon.place import question_at
    from umbrella_daemon.ready import ready_daemon
    from umbrella_daemon.wire import Completed

    question = await question_at(place, language, settings.completion)
    if isinstance(question, Silence):
        return None, Completed(0, reason=question.reason, detail=question.detail)
    async with ready_daemon(settings, NAME, console(stderr=True)) as client:
        return question, await client.complete(
            document=question.document,
            version=question.version,
            language=question.language,
            path=question.path,
            prefix=question.prefix,
            suffix=question.suffix,
            explicit=True,
            max_tokens=settings.completion.max_tokens,
            max_lines=settings.completion.max_lines,
        )


COMMANDS = (complete,)
