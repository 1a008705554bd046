"""`umbrella bench`: the group of all benchmarks."""

import click

from umbrella_daemon.cli import bench_device, bench_report, bench_typing, bench_writing


@click.group()
def bench() -> None:
    """Measure this machine, this pair, and others beside it.

    Each prints a table, and as its last line the result as JSON with machine, versions, weights and
    commit; --out FILE keeps it, --plot FILE draws it.
    """


for _module in (bench_writing, bench_typing, bench_device, bench_report):
    for _command in _module.COMMANDS:
        bench.add_command(_command)

COMMANDS = (bench,)
