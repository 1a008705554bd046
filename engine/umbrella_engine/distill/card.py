"""The card of what was trained: data, licences, settings, seed, figures and the command."""

from collections.abc import Sequence

import msgspec

from umbrella_engine.distill.data import About, Source
from umbrella_engine.distill.training import Run


def card(title: str, command: str, about: About, run: Run, shape: str, machine: str) -> str:
    """Write a card in Markdown."""
    schedule = msgspec.to_builtins(run.schedule)
    commands = "\n".join(one for one in (about.command, command) if one)
    settings = ", ".join(f"{name} {value}" for name, value in schedule.items())
    parts = [
        f"# {title}",
        f"Trained for `{about.target}` with `umbrella distill`. {shape}",
        f"## Made by\n\n```\n{commands}\n```",
        f"{run.step} steps, {run.tokens:,} tokens, {run.seconds:.0f} s of training on {machine}.\n"
        f"Schedule: {settings}.",
        "## What held-out code said\n\n" + _judgements(run),
        "## Data\n\n"
        f"{about.rows:,} rows of up to {about.row_tokens} tokens, {about.tokens:,} tokens in all, "
        f"cut with seed {about.seed}; {about.heldout_rows:,} rows of other repositories, or of "
        "other files where there is one repository alone, were held out. Files with what may be a "
        "secret, generated ones, duplicates and near duplicates were "
        "left out.",
        "Characters by language: "
        + ", ".join(f"{name} {size:,}" for name, size in sorted(about.languages.items()))
        + ".",
        "Files left out, by reason: "
        + ", ".join(f"{name} {count:,}" for name, count in sorted(about.left_out.items()))
        + ".",
        "### Learned from\n\n" + _sources([one for one in about.sources if not one.heldout]),
        "### Held out\n\n" + _sources([one for one in about.sources if one.heldout]),
    ]
    return "\n\n".join(parts) + "\n"


def _judgements(run: Run) -> str:
    names = sorted({name for one in run.judgements for name in one.figures})
    lines = [f"| step | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for one in run.judgements:
        figures = (f"{one.figures.get(name, float('nan')):.3f}" for name in names)
        lines.append(f"| {one.step} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _sources(sources: Sequence[Source]) -> str:
    if not sources:
        return "Single files of the same repositories."
    lines = ["| repository | licence | files | characters |", "|---|---|---|---|"]
    lines += [
        f"| {one.name} | {one.licence or 'not said'} | {one.files} | {one.bytes:,} |"
        for one in sources
    ]
    return "\n".join(lines)
