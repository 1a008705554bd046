"""The daemon's `Status` and the traces in it as tables for a person."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from umbrella_daemon.wire import Drafted, Status, Trace

PHASE_STYLE = {"ready": "bold green", "failed": "bold red", "backend-down": "bold red"}
POSITIONS = 8  # of a draft that are shown
SUMS = ("total", "generate")  # of the other stages
TRACE_COLUMNS = (
    "document",
    "prompt",
    "reused",
    "prefilled",
    "drafted",
    "accepted",
    "steps",
    "written",
    "ms",
)


def page(status: Status, recorded: Sequence[Path] = ()) -> RenderableType:
    """Lay out everything, and which files typing is being recorded into."""
    facts = _facts(status)
    for path in recorded:
        facts.add_row(Text("recording", "bold yellow"), Text(f"typing, into {path}"))
    parts: list[RenderableType] = [facts]
    if status.drafts:
        parts += [Text(), draft_table(status.drafts)]
    if status.traces:
        parts += [Text(), trace_table(status.traces)]
    return Group(*parts)


def _facts(status: Status) -> Table:
    phase = Text(status.phase.phase, PHASE_STYLE.get(status.phase.phase, "bold yellow"))
    if status.phase.phase != "ready":
        phase.append(f"  {status.phase.message}", "default")
        if status.phase.percent is not None:
            phase.append(f" {status.phase.percent} %")
    up = timedelta(seconds=round(status.uptime_seconds))
    shown = f", {status.shown} shown" if status.requests else ""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("daemon", phase)
    table.add_row("pair", Text(status.pair or "not chosen yet"))
    table.add_row("device", Text(f"{status.device}, {status.dtype}" if status.device else "-"))
    table.add_row("memory", f"{status.rss_bytes / 1e6:,.0f} MB")
    table.add_row("process", f"{status.pid}, up {up}, version {status.version}")
    table.add_row("clients", Text(", ".join(status.clients) or "none"))
    table.add_row("requests", f"{status.requests}{shown}")
    if status.generations or status.generating:
        written = f"{status.generations}, {status.totals.completion_tokens} tokens in all"
        table.add_row("generations", f"{written}; {status.generating} under way")
    if status.reasons:
        table.add_row("silence", reasons(status.reasons))
    return table


def reasons(counted: dict[str, int]) -> str:
    """Say how often nothing was shown, and why, most frequent first."""
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{reason} {count}" for reason, count in ordered)


def draft_table(drafts: Mapping[str, Drafted]) -> Table:
    """One line a source, the one that helped most first; shares are per cent."""
    table = Table("drafts", "offered", "kept", "ms", header_style="dim", box=None, pad_edge=False)
    table.add_column("% kept, by position")
    for column in table.columns[1:4]:
        column.justify = "right"
    for source, one in sorted(drafts.items(), key=lambda item: -sum(item[1].kept)):
        table.add_row(
            Text(source),
            f"{sum(one.offered):,}",
            f"{sum(one.kept):,}",
            f"{one.us / 1e3:,.0f}",
            Text(_shares(one), "dim"),
        )
    return table


def _shares(drafted: Drafted) -> str:
    """Say how much of what was offered at each position was kept."""
    kept = [*drafted.kept, *[0] * len(drafted.offered)]
    shares = [f"{100 * kept[i] / count:.0f}" for i, count in enumerate(drafted.offered) if count]
    return " ".join(shares[:POSITIONS]) + (" …" if len(shares) > POSITIONS else "")


def trace_table(traces: Iterable[Trace]) -> Table:
    """One line a request; counts are tokens."""
    table = Table(*TRACE_COLUMNS, "stages", header_style="dim", box=None, pad_edge=False)
    for column in table.columns[1 : len(TRACE_COLUMNS)]:
        column.justify = "right"
    for trace in traces:
        table.add_row(
            Text(trace.document.rsplit("/", 1)[-1] or "-"),
            *(
                str(count)
                for count in (
                    trace.prompt_tokens,
                    trace.reused_tokens,
                    trace.prefilled_tokens,
                    trace.drafted_tokens,
                    trace.accepted_tokens,
                    trace.target_steps,
                    trace.generated_tokens,
                )
            ),
            f"{trace.ms.get('total', 0):.0f}",
            Text(trace.reason or stages(trace.ms), "yellow" if trace.reason else "dim"),
        )
    return table


def stages(ms: dict[str, float]) -> str:
    """Say where the time went, the longest stage first; sums and what took under 1 ms left out."""
    ordered = sorted(ms.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{name} {took:.0f}" for name, took in ordered if name not in SUMS and took >= 1
    )
