"""`umbrella demo`: a first completion from nothing, in the way an editor gets it.

Starts the real language server, which starts the daemon, which obtains and loads the model; then
shows the suggestion inside its file, what it cost, and how long an answer takes while typing.
"""

import statistics

from rich.console import Console
from rich.rule import Rule

from umbrella_daemon.client import stop_daemon
from umbrella_daemon.demo.sample import NAME, PREFIX, SUFFIX
from umbrella_daemon.demo.session import Session, of_version
from umbrella_daemon.ghost import Ghost
from umbrella_daemon.lsp_probe import ProbeError
from umbrella_daemon.progress import ProgressDisplay
from umbrella_daemon.settings import Settings
from umbrella_daemon.status_page import trace_table
from umbrella_daemon.wire import Status, Trace


async def demo(settings: Settings, console: Console, *, stop: bool) -> None:
    """Run the demo; raises ProbeError or DaemonError where something does not work."""
    console.print("Starting the language server as an editor does: [bold]umbrella-lsp --stdio[/]")
    with ProgressDisplay(console) as display:
        session = Session(settings, display.show)
        try:
            await session.open()
            display.show(f"reading {NAME}")
            suggestion = await session.suggest()
            first_seconds = session.seconds
            status = await session.status()
        except BaseException:
            await session.close()
            raise
    try:
        first = of_version(status.traces, 1)
        text = "" if suggestion is None else suggestion.insert_text
        _show_suggestion(console, status, first, text)
        started = status.uptime_seconds < first_seconds
        start = _start(session.work, started=started)
        console.print(f"{start}; first suggestion after {first_seconds:.1f} s.\n", highlight=False)
        took = await session.type()
        _show_typing(console, took, (await session.status()).traces)
    finally:
        await session.close()
    if stop:
        await stop_daemon(settings)
        console.print("The daemon was stopped.")
    else:
        console.print(
            "The daemon goes on running, for your editor and for the next demo: [bold]umbrella "
            "status[/] shows it, [bold]umbrella stop[/] stops it."
        )


def _start(work: set[str], *, started: bool) -> str:
    if "downloading" in work:
        return "Cold start: the weights were fetched first"
    if "converting" in work:
        return "Cold start: the weights were converted first"
    if started:
        return "Warm start: the weights were here, the daemon was started"
    return "The daemon was running already"


def _show_suggestion(console: Console, status: Status, first: Trace | None, text: str) -> None:
    if not text:
        reason = first.reason if first else "unknown"
        raise ProbeError(f"The model suggested nothing ({reason}); `umbrella logs` tells more.")
    console.print(
        f"{status.pair}, on {status.device} in {status.dtype}\n", markup=False, highlight=False
    )
    marked = "" if console.color_system else "; the suggestion stands between « and »"
    console.print(Rule(f"{NAME}{marked}", align="left", style="dim"))
    console.print(Ghost(NAME, PREFIX, text, SUFFIX))
    console.print(Rule(style="dim"))
    if first:
        console.print(trace_table([first]))
    console.print()


def _show_typing(console: Console, took: list[float], traces: list[Trace]) -> None:
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    typed = [of_version(traces, version) for version in range(2, len(took) + 2)]
    prefilled = [trace.prefilled_tokens for trace in typed if trace]
    console.print(
        f"Typed {len(took)} characters, one by one: answers took [bold]{p50:.0f} ms[/] (p50) and "
        f"[bold]{p95:.0f} ms[/] (p95).",
        highlight=False,
    )
    if prefilled:
        console.print(
            f"The rest of the prompt was reused: {statistics.mean(prefilled):.1f} tokens computed "
            f"for each character on average, at most {max(prefilled)}.",
            highlight=False,
        )
