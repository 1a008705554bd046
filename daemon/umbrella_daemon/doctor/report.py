"""A finding as lines for a person."""

from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from umbrella_daemon.doctor.finding import Finding

STYLE: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}
NAME_WIDTH: Final = 16


def line(name: str, finding: Finding) -> RenderableType:
    """Lay out one finding, with what to do below it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(width=4)
    table.add_column(width=NAME_WIDTH)
    table.add_column(overflow="fold")
    table.add_row(Text(finding.level, STYLE[finding.level]), name, Text(finding.found))
    if not finding.advice:
        return table
    advice = Padding(Text(f"→ {finding.advice}"), (0, 0, 0, NAME_WIDTH + 8))
    return Group(table, advice)
