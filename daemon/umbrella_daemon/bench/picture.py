"""Results as pictures; needs matplotlib, which the extra `plot` brings."""

from pathlib import Path
from typing import TYPE_CHECKING

from umbrella_daemon.bench.result import BenchError, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawing_library() -> None:
    """Make sure that pictures can be drawn. Raises BenchError that says what to install."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise BenchError(
            "pictures need matplotlib, which is not installed; nothing was measured. Get it with "
            "pip install 'umbrella-lsp[plot]', or leave --plot out"
        ) from None


def save(figure: "Figure", path: Path) -> None:
    """Write a picture. Raises BenchError where it cannot be."""
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise BenchError(
            f"the picture {path} cannot be written ({error}); the figures are kept"
        ) from None


def draw_rates(result: Result, path: Path) -> None:
    """Draw tokens a second as bars, a row each."""
    from matplotlib.figure import Figure

    rows = [row for row in result.rows if isinstance(row["tokens_per_second"], int | float)]
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(rows)), layout="constrained")
    axes = figure.subplots()
    rates = [row["tokens_per_second"] for row in rows]
    colours = ["C1" if str(row["name"]).startswith("umbrella") else "C0" for row in rows]
    bars = axes.barh([str(row["name"]) for row in rows], rates, color=colours)  # type: ignore[arg-type]
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="tokens / s", title=title(result))
    save(figure, path)


def draw_keys(result: Result, path: Path) -> None:
    """Draw how long each key of a session waited: ours, and the one that is best beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(_compared(result)):
        times, answered = result.series[name]["key_ms"], result.series[name]["answered"]
        keys = range(1, len(times) + 1)
        row = result.row(name)
        colour = f"C{1 - number}"
        label = f"{name}: p50 {row['key_ms_p50']:.3g} ms, p90 {row['key_ms_p90']:.3g} ms"
        axes.plot(keys, times, color=colour, linewidth=0.7, alpha=0.5)
        axes.scatter(keys, times, color=colour, s=10, label=label)
        missed = [key for key, done in zip(keys, answered, strict=True) if not done]
        axes.scatter(
            missed, [times[key - 1] for key in missed], color=colour, marker="x", s=26, linewidth=1
        )
    axes.set(xlabel="key of the session", ylabel="ms until it was answered", yscale="log")
    axes.set_title(f"{title(result)}; x: the next key came first", fontsize=10)
    axes.legend(loc="lower left", fontsize=8)
    axes.grid(alpha=0.3)
    save(figure, path)


def _compared(result: Result) -> list[str]:
    """Give ours and, of the others, the one whose median is least."""
    names = [str(row["name"]) for row in result.rows]
    others = sorted(names[1:], key=lambda name: float(result.row(name)["key_ms_p50"] or "inf"))
    return [names[0], *others[:1]]


def title(result: Result) -> str:
    """Say what a picture shows."""
    subject, machine = result.subject, result.stamp.machine
    pair = f"{subject.target} + {subject.draft}" if subject.draft else subject.target
    return f"{result.bench}: {pair}\n{machine.name}, {result.stamp.date[:10]}"
