"""Results as tables for people. Measures nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from umbrella_daemon.bench.result import Figure, Result

Row = dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, the figure it shows, how it is spelled."""

    title: str
    key: str
    spell: Callable[[float], str] = "{:.1f}".format

    def cell(self, row: Row) -> str:
        """Give what stands in a row; a dash where there is no such figure."""
        value = row.get(self.key)
        if isinstance(value, str):
            return value
        return "-" if value is None else self.spell(value)


COUNT = "{:.0f}".format
TWO = "{:.2f}".format
SHARE = "{:.1%}".format

WRITING = (
    Column("asked", "requests", COUNT),
    Column("tok/s", "tokens_per_second"),
    Column("ours / this", "ours_over_this", TWO),
    Column("tokens a step", "tokens_per_step", TWO),
    Column("accepted a step", "accepted_per_step", TWO),
    Column("first, ms", "first_ms_p50"),
    Column("request, ms", "request_ms_p50"),
    Column("p90", "request_ms_p90"),
    Column("same text", "same_text", COUNT),
    Column("exact", "exact_match", SHARE),
    Column("similar", "edit_similarity", SHARE),
    Column("warm, s", "warm_up_s"),
)

TYPING = (
    Column("keys", "keys", COUNT),
    Column("at hand", "at_hand", SHARE),
    Column("asked", "engine", COUNT),
    Column("overtaken", "overtaken", COUNT),
    Column("shown", "shown", COUNT),
    Column("ms p50", "key_ms_p50"),
    Column("p90", "key_ms_p90"),
    Column("p99", "key_ms_p99"),
    Column("prompt computed a key", "prefilled_per_key", TWO),
    Column("... ahead too", "all_prefilled_per_key", TWO),
    Column("reused", "reused", SHARE),
    Column("ms until free", "free_ms_p50"),
)


def page(result: Result, columns: Sequence[Column] = WRITING) -> RenderableType:
    """Lay a result out: what it is about, a row for each way, what one must know."""
    parts: list[RenderableType] = [head(result), Text(), table(result.rows, columns)]
    parts += [
        Text(f"{row['name']} was left out: {row['reason']}")
        for row in result.rows
        if row.get("reason")
    ]
    if result.notes:
        parts += [Text(), *(Text(f"· {note}", style="dim") for note in result.notes)]
    return Group(*parts, Text())


def head(result: Result) -> Text:
    """Say what was measured, with what."""
    subject, stamp = result.subject, result.stamp
    pair = f"{subject.target} + {subject.draft}" if subject.draft else subject.target
    text = Text(f"{result.bench}: {pair}" if pair else result.bench, "bold")
    text.append(
        f"\n{stamp.machine.name}; {subject.dtype}; commit {stamp.commit or 'unknown'}; "
        f"{stamp.date[:10]}; load {stamp.load:g}",
        "not bold dim",
    )
    return text


def table(rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    """Lay rows out; columns that say nothing of any row are left out."""
    shown = [one for one in columns if any(row.get(one.key) is not None for row in rows)]
    laid = Table(header_style="dim", box=None, pad_edge=False)
    laid.add_column("", no_wrap=True)
    for column in shown:
        laid.add_column(column.title, justify="right")
    for row in rows:
        laid.add_row(str(row["name"]), *(column.cell(row) for column in shown))
    return laid


def over_this(rows: tuple[Row, ...], key: str = "tokens_per_second") -> tuple[Row, ...]:
    """Add how many times as fast as each row the first one, ours, is."""
    first = rows[0][key] if rows else None
    if not isinstance(first, int | float) or not first:
        return rows
    return tuple(row | {"ours_over_this": _ratio(first, row[key])} for row in rows)


def _ratio(ours: float, this: Figure) -> Figure:
    return round(ours / this, 3) if isinstance(this, int | float) and this else None
