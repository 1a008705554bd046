import io

from rich.console import Console

from umbrella_daemon.progress import ProgressDisplay


def test_without_a_terminal_a_line_is_printed_now_and_then() -> None:
    out = io.StringIO()
    with ProgressDisplay(Console(file=out, width=80)) as display:
        for percent in range(101):
            display.show(f"fetching, {percent}.0 of 100 MB", percent)
        display.show("loading")
        display.show("loading")
    assert out.getvalue().splitlines() == [
        "fetching, 0.0 of 100 MB 0 %",
        "fetching, 25.0 of 100 MB 25 %",
        "fetching, 50.0 of 100 MB 50 %",
        "fetching, 75.0 of 100 MB 75 %",
        "fetching, 100.0 of 100 MB 100 %",
        "loading",
    ]


def test_on_a_terminal_there_is_a_bar_that_goes_away() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    with ProgressDisplay(console) as display:
        display.show("fetching [x]", 40)
        display.show("loading")
    assert "fetching [x]" in out.getvalue()
    assert "40 %" in out.getvalue()
    assert out.getvalue().endswith("\x1b[1A\x1b[2K")  # the line is wiped
