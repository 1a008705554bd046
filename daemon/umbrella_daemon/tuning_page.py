"""A tuning as tables and as a picture for a person."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from umbrella_engine.errors import EngineError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from umbrella_engine.shape.tuning import Tuning


def page(tuning: "Tuning") -> RenderableType:
    """Lay out everything."""
    subject = tuning.subject
    title = Text(f"{subject.pair} on {subject.device}, {subject.dtype}", "bold")
    parts: list[RenderableType] = [title, Text(), _passes(tuning)]
    if tuning.acceptance:
        parts += [Text(), _ranks(tuning)]
    return Group(*parts, Text(), _plans(tuning), Text(), _verdict(tuning), Text())


def _passes(tuning: "Tuning") -> Table:
    rows = tuning.costs.target.rows
    table = _table("ms of a forward pass, rows", *map(str, rows))
    table.add_row("target", *(f"{ms:.1f}" for ms in tuning.costs.target.ms))
    if tuning.costs.draft is not None:
        table.add_row("draft", *(f"{tuning.costs.draft.at(count):.1f}" for count in rows))
    return table


def _ranks(tuning: "Tuning") -> Table:
    rates = tuning.acceptance
    table = _table("the draft's guess of rank", *(str(rank + 1) for rank in range(len(rates))))
    table.add_row("was right, %", *(f"{100 * rate:.1f}" for rate in rates))
    return table


def _plans(tuning: "Tuning") -> Table:
    plain = tuning.plans[0].ms_per_token
    table = _table("preset", "tokens / step", "ms / step", "tokens / s", "x none", "tree")
    for plan in tuning.plans:
        chosen = plan.preset == tuning.chosen.preset
        table.add_row(
            f"→ {plan.preset}" if chosen else f"  {plan.preset}",
            f"{plan.tokens:.2f}",
            f"{plan.ms:.1f}",
            f"{1e3 / plan.ms_per_token:.1f}",
            f"{plain / plan.ms_per_token:.2f}",
            f"{plan.nodes} nodes, depth {plan.depth}" if len(plan.shape) else "",
            style="bold" if chosen else "",
        )
    return table


def _verdict(tuning: "Tuning") -> Text:
    gain = tuning.plans[0].ms_per_token / tuning.chosen.ms_per_token
    if tuning.chosen.preset == "none":
        return Text("Drafting does not pay here: plain decoding is chosen.")
    return Text(f"{tuning.chosen.preset} is chosen: {gain:.2f} times as fast as plain decoding.")


def _table(*columns: str) -> Table:
    table = Table(*columns, header_style="dim", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def drawing_library() -> None:
    """Make sure that pictures can be drawn. Raises EngineError that says what to install."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise EngineError(
            "--plot needs matplotlib, which is not installed; nothing was measured. Get it with "
            "pip install 'umbrella-lsp[plot]', or leave --plot out"
        ) from None


def draw(tuning: "Tuning", path: Path) -> None:
    """Draw pass times, acceptance by rank and the presets. Raises EngineError where it cannot."""
    from matplotlib.figure import Figure

    panels = [_draw_passes, *([_draw_ranks] if tuning.acceptance else []), _draw_plans]
    figure = Figure(figsize=(4 * len(panels), 3.6), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        panel(axes, tuning)
    subject = tuning.subject
    figure.suptitle(f"{subject.pair} on {subject.device}, {subject.dtype}, {tuning.date[:10]}")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise EngineError(
            f"the picture {path} cannot be written ({error}); the tuning itself is stored"
        ) from None


def _draw_passes(axes: "Axes", tuning: "Tuning") -> None:
    axes.plot(tuning.costs.target.rows, tuning.costs.target.ms, marker="o", label="target")
    if tuning.costs.draft is not None:
        axes.plot(tuning.costs.draft.rows, tuning.costs.draft.ms, marker="o", label="draft")
    axes.set(xlabel="rows", ylabel="ms", title="forward pass", ylim=(0, None))
    axes.legend()


def _draw_ranks(axes: "Axes", tuning: "Tuning") -> None:
    axes.bar(range(1, 1 + len(tuning.acceptance)), tuning.acceptance)
    axes.set(xlabel="rank", ylabel="right", title="the draft's guesses", ylim=(0, 1))


def _draw_plans(axes: "Axes", tuning: "Tuning") -> None:
    names = [plan.preset for plan in tuning.plans]
    speeds = [1e3 / plan.ms_per_token for plan in tuning.plans]
    colours = ["C1" if name == tuning.chosen.preset else "C0" for name in names]
    axes.barh(names, speeds, color=colours)
    axes.invert_yaxis()
    axes.set(xlabel="tokens / s", title="presets")
