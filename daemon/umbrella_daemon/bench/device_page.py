"""What `umbrella bench device` found, as one page and as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from umbrella_daemon.bench.device import LAUNCHES, MEMORY, STEPS, Row
from umbrella_daemon.bench.page import SHARE, TWO, Column, head
from umbrella_daemon.bench.picture import save, title
from umbrella_daemon.bench.result import Result
from umbrella_engine.tune.timing import ROWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RATES = (Column("GB/s", "gb_per_s"),)
COSTS = (Column("µs", "us", TWO),)
CURVE = (
    Column("ms", "ms", TWO),
    Column("of one row", "of_one_row", TWO),
    Column("roofline", "roofline", SHARE),
    Column("ms on the device", "device_ms", "{:.3f}".format),
    Column("roofline", "device_roofline", SHARE),
)


def device_page(result: Result) -> RenderableType:
    """Lay everything out."""
    parts: list[RenderableType] = [head(result)]
    for kind, columns in ((MEMORY, RATES), (LAUNCHES, COSTS), (STEPS, CURVE)):
        rows = [row for row in result.rows if row["kind"] == kind]
        parts += [Text(), _table(rows, columns)]
    parts += [Text(), *(Text(line) for line in _verdicts(result))]
    parts += [Text(), *(Text(f"· {note}", style="dim") for note in result.notes), Text()]
    return Group(*parts)


def draw_device(result: Result, path: Path) -> None:
    """Draw the curves above their floors, and the rates of memory."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    curves, rates = figure.subplots(1, 2, width_ratios=(3, 2))
    for number, role in enumerate(result.series):
        _draw_curve(curves, result, role, f"C{number}")
    curves.set(xlabel="rows of a step", ylabel="ms", yscale="log")
    curves.set_xscale("log", base=2)
    powers = [rows for rows in ROWS if rows & (rows - 1) == 0]  # those between stand too near
    curves.set_xticks(powers, [str(rows) for rows in powers])
    curves.yaxis.set_major_formatter("{x:g}")
    curves.yaxis.set_minor_formatter("{x:g}")
    curves.tick_params(axis="y", which="minor", labelsize=6)
    curves.set_title("dashed: the weights read once at the best rate", fontsize=9)
    curves.legend(fontsize=8)
    curves.grid(alpha=0.3)
    known = {str(row["name"]): row["gb_per_s"] for row in result.rows if row.get("gb_per_s")}
    bars = rates.barh(list(known), list(known.values()))
    rates.bar_label(bars, fmt="%.4g", padding=3)
    rates.invert_yaxis()
    rates.margins(x=0.2)
    rates.set(xlabel="GB / s")
    figure.suptitle(title(result), fontsize=10)
    save(figure, path)


def _draw_curve(axes: "Axes", result: Result, role: str, colour: str) -> None:
    series = result.series[role]
    axes.plot(series["rows"], series["ms"], marker="o", color=colour, label=role)
    if "device_ms" in series:
        axes.plot(
            series["device_rows"],
            series["device_ms"],
            marker="x",
            color=colour,
            linewidth=0.8,
            label=f"{role}, on the device",
        )
    if "floor_ms" in series:
        axes.plot(series["rows"], series["floor_ms"], color=colour, linestyle="--", linewidth=1)


def _table(rows: list[Row], columns: tuple[Column, ...]) -> Table:
    """Lay rows of one kind out; a row without figures says why."""
    shown = [one for one in columns if any(row.get(one.key) is not None for row in rows)]
    laid = Table(header_style="dim", box=None, pad_edge=False)
    laid.add_column("", no_wrap=True)
    for column in shown:
        laid.add_column(column.title, justify="right")
    laid.add_column("")
    for row in rows:
        laid.add_row(
            str(row["name"]), *(one.cell(row) for one in shown), str(row.get("reason") or "")
        )
    return laid


def _verdicts(result: Result) -> list[str]:
    """Say of each model how near its narrowest step comes to the memory."""
    found = []
    for role in result.series:
        row = result.row(f"{role}, 1 row")
        if row["floor_ms"] is not None:
            found.append(
                f"{role}: {row['weight_mb']:.4g} MB of weights take {row['floor_ms']:.3g} ms to "
                f"read; a step of one row takes {row['ms']:.3g} ms, {row['roofline']:.0%} of what "
                "the memory allows"
            )
    return found
