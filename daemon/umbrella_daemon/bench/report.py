"""`umbrella bench report`: tables of all results that are kept, hardware by hardware.

A row is one result: one machine, one pair, one commit. Results of two machines never meet in one
row, and of results with the same machine and pair the newest counts. Cards that nobody has measured
stay listed without a figure.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from umbrella_daemon.bench.ours import DRAFTED, PLAIN
from umbrella_daemon.bench.result import BenchError, Figure, Result, read, write

UNMEASURED: Final = ("RTX 4090", "RTX 4080 SUPER", "RTX 4070 Ti", "L40")
MISSING: Final = "run `umbrella bench {bench} --out FILE`, then `umbrella bench report --add FILE`"
HEAD: Final = ("hardware", "target", "draft", "tokens/s", "accepted a step", "without drafts")
TITLES: Final = {"code": "Code completion", "mtbench": "MT-Bench"}
OWN: Final = Path(__file__).with_name("results")  # those that come with this release
_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


def add(path: Path, folder: Path) -> Path:
    """Keep a result in `folder`, without what only pictures need. Raises BenchError."""
    result = read(path)
    if result.bench not in TITLES and result.bench not in ("peers", "keystrokes", "device"):
        raise BenchError(f"{path} is of an unknown benchmark, {result.bench}")
    words = (result.bench, result.stamp.machine.name, result.subject.pair, result.subject.dtype)
    kept = folder / (_NAME.sub("-", "_".join(words)).strip("-") + ".json")
    write(replace(result, series={}), kept)
    return kept


def stored(folders: Iterable[Path]) -> list[Result]:
    """Read all results of the folders; of the same machine and pair the newest."""
    found: dict[tuple[str, ...], Result] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            result = read(path)
            key = (result.bench, *result.stamp.machine.name.split(), *_pair(result))
            if key not in found or found[key].stamp.date < result.stamp.date:
                found[key] = result
    return sorted(found.values(), key=lambda one: (one.stamp.machine.name, *_pair(one)))


def markdown(results: Sequence[Result]) -> str:
    """Give the tables."""
    parts = [_throughput(bench, results) for bench in TITLES]
    parts += [_comparison(one) for one in results if one.bench in ("peers", "keystrokes")]
    parts += [_devices(results)] if any(one.bench == "device" for one in results) else []
    return "\n\n".join(parts) + "\n"


def into(text: str, bench: str, table: str) -> str:
    """Put a table between the marks of `bench` in a text. Raises BenchError without marks."""
    start, end = f"<!-- bench {bench} -->", f"<!-- end of bench {bench} -->"
    if start not in text or end not in text:
        raise BenchError(f"there is no {start} ... {end} to put the table between")
    before, rest = text.split(start, 1)
    return f"{before}{start}\n{table}\n{end}{rest.split(end, 1)[1]}"


def tables(results: Sequence[Result]) -> dict[str, str]:
    """Give each table by the name of its marks."""
    return {bench: _throughput(bench, results) for bench in TITLES}


def _throughput(bench: str, results: Sequence[Result]) -> str:
    rows = [cells for one in results if one.bench == bench for cells in _rows(one)]
    measured = " ".join(one.stamp.machine.name for one in results if one.bench == bench)
    for card in UNMEASURED:
        if card not in measured:
            rows.append([card, MISSING.format(bench=bench), *[""] * (len(HEAD) - 1)])
    return "\n".join([f"**{TITLES[bench]}**", "", *_table([*HEAD, "measured by"], rows)])


def _rows(result: Result) -> Iterable[list[str]]:
    for row in result.rows:
        name = str(row["name"])
        if not name.startswith(DRAFTED) or name.startswith(PLAIN):
            continue
        plain = next(
            (one for one in result.rows if one["name"] == name.replace(DRAFTED, PLAIN)), None
        )
        way = name.removeprefix(DRAFTED).lstrip(", ")
        stamp = result.stamp
        yield [
            stamp.machine.name,
            result.subject.target,
            result.subject.draft or "-",
            _spell(row["tokens_per_second"]) + (f" ({way})" if way else ""),
            _spell(row["accepted_per_step"]),
            _spell(plain["tokens_per_second"]) if plain else "-",
            f"`{result.command}` ({stamp.commit or 'no commit'}, {stamp.date[:10]})",
        ]


def _comparison(result: Result) -> str:
    """Give all rows of one result: everybody on one machine in one run."""
    keys = {
        "peers": ("tokens_per_second", "ours_over_this", "accepted_per_step", "first_ms_p50"),
        "keystrokes": ("keys", "at_hand", "overtaken", "key_ms_p50", "key_ms_p90",
                       "prefilled_per_key"),
    }[result.bench]  # fmt: skip
    rows = [[_name(row), *(_spell(row.get(key)) for key in keys)] for row in result.rows]
    stamp, subject = result.stamp, result.subject
    title = f"**{result.bench}: {subject.target} on {stamp.machine.name}**, {subject.dtype}"
    head = ["", *(key.replace("_", " ") for key in keys)]
    source = f"`{result.command}` ({stamp.commit or 'no commit'}, {stamp.date[:10]})"
    return "\n".join([title, "", *_table(head, rows), "", source, *result.notes])


def _name(row: dict[str, Figure]) -> str:
    """Give a row's name; with the reason where it has no figures."""
    reason = row.get("reason")
    return f"{row['name']} ({reason})" if reason else str(row["name"])


def _devices(results: Sequence[Result]) -> str:
    """Give a row for each machine with each pair: its memory, and steps of the target."""
    head = ["hardware", "pair", "memory read, copy GB/s", "step of 1, 8, 64 rows, ms"]
    rows = []
    for result in (one for one in results if one.bench == "device"):
        subject, stamp = result.subject, result.stamp
        memory = [_spell(row["gb_per_s"]) for row in result.rows if row.get("gb_per_s")][:2]
        steps = {row["rows"]: row for row in result.rows if row.get("role") == "target"}
        rows.append([
            stamp.machine.name,
            " + ".join(filter(None, (subject.target, subject.draft))),
            ", ".join(memory),
            ", ".join(_spell(steps[count]["ms"]) for count in (1, 8, 64)),
            _spell(steps[1]["roofline"]),
            f"`{result.command}` ({stamp.commit or 'no commit'}, {stamp.date[:10]})",
        ])  # fmt: skip
    return "\n".join(
        ["**device**", "", *_table([*head, "roofline of one row", "measured by"], rows)]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _spell(value: Figure) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
    return str(value)


def _pair(result: Result) -> tuple[str, ...]:
    subject = result.subject
    return subject.target, subject.draft, subject.dtype
