import io

from rich.console import Console

from umbrella_daemon.status_page import page, reasons, stages
from umbrella_daemon.wire import Drafted, Phase, Status, Trace

TRACE = Trace(
    document="a.py",
    prompt_tokens=210,
    reused_tokens=208,
    prefilled_tokens=2,
    drafted_tokens=64,
    accepted_tokens=12,
    target_steps=4,
    generated_tokens=16,
    ms={"prompt": 0.4, "verify": 80.2, "generate": 90.2, "postprocess": 1.4, "total": 93.6},
)
STATUS = Status(
    1,
    phase=Phase("ready", "smollm2 (cpu, bfloat16)"),
    version="0.1.0",
    pid=4711,
    uptime_seconds=3723.4,
    pair="smollm2: picked for a CPU",
    device="cpu (2 threads)",
    dtype="bfloat16",
    rss_bytes=912_000_000,
    clients=["umbrella", "umbrella-lsp"],
    requests=7,
    shown=4,
    reasons={"cancelled": 1, "superseded": 2},
    traces=[TRACE, Trace(document="b.py", reason="superseded")],
    drafts={
        "suffix": Drafted((20,) * 10, (11, 9), 1234.0),
        "model": Drafted((900, 400, 0, 4), (810, 300), 56_789.0),
        "retyped": Drafted(),
    },
)


def shown(status: Status) -> str:
    out = io.StringIO()
    Console(file=out, width=110).print(page(status))
    return out.getvalue()


def test_everything_of_a_status_is_on_the_page() -> None:
    text = shown(STATUS)
    for part in (
        "ready",
        "smollm2: picked for a CPU",
        "cpu (2 threads), bfloat16",
        "912 MB",
        "4711, up 1:02:03, version 0.1.0",
        "umbrella, umbrella-lsp",
        "7, 4 shown",
        "superseded 2, cancelled 1",
    ):
        assert part in text
    row = next(line for line in text.splitlines() if line.startswith("a.py"))
    assert row.split() == [
        *("a.py", "210", "208", "2", "64", "12", "4", "16", "94"),
        *("verify", "80,", "postprocess", "1"),
    ]
    assert "superseded" in next(line for line in text.splitlines() if line.startswith("b.py"))


def test_a_daemon_on_its_way_says_how_far_it_is() -> None:
    status = Status(
        1,
        phase=Phase("downloading", "downloading weights", 43),
        version="0.1.0",
        pid=1,
        uptime_seconds=2,
        pair="auto",
        device="",
        dtype="",
        rss_bytes=10**8,
        clients=[],
        requests=0,
        shown=0,
        reasons={},
        traces=[],
    )
    assert "downloading  downloading weights 43 %" in shown(status)


def test_reasons_are_ordered_by_how_often() -> None:
    assert reasons({"a": 1, "b": 3, "c": 1}) == "b 3, a 1, c 1"


def test_stages_leave_out_what_is_short_and_the_total() -> None:
    assert stages({"a": 0.2, "b": 2.0, "c": 30.4, "total": 33}) == "c 30, b 2"


def test_each_source_of_drafts_has_a_line_the_most_helpful_first() -> None:
    lines = shown(STATUS).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("drafts"))
    assert [line.split() for line in lines[start + 1 : start + 4]] == [
        ["model", "1,304", "1,110", "57", "90", "75", "0"],
        ["suffix", "200", "20", "1", "55", "45", *["0"] * 6, "…"],
        ["retyped", "0", "0", "0"],
    ]
