import io
import re

from rich.console import Console

from umbrella_daemon.ghost import Ghost

PREFIX = "def area(a, b):\n    return "
SUFFIX = "\n\n\nprint(area(1, 2))\n"


def rendered(ghost: Ghost, **options: object) -> str:
    out = io.StringIO()
    Console(file=out, width=80, **options).print(ghost)  # type: ignore[arg-type]
    return out.getvalue()


def test_plain_output_marks_the_suggestion_in_its_numbered_file() -> None:
    lines = rendered(Ghost("a.py", PREFIX, "a * b", SUFFIX)).splitlines()
    assert lines == [
        "   1 │ def area(a, b):",
        "   2 │     return «a * b»",
        "   3 │ ",
        "   4 │ ",
        "   5 │ print(area(1, 2))",
    ]


def test_lines_of_the_suggestion_have_no_numbers() -> None:
    lines = rendered(Ghost("a.py", "x = 1\n", "y = 2\nz = 3", "\nw = 4\n")).splitlines()
    assert lines == ["   1 │ x = 1", "   2 │ «y = 2", "     │ z = 3»", "   3 │ w = 4"]


def test_what_the_suggestion_replaces_is_not_shown() -> None:
    assert "f(«a, b)»\n" in rendered(Ghost("a.py", "f(", "a, b)", ")\n", replace_after=1))


def test_only_lines_near_the_cursor_are_shown() -> None:
    prefix = "".join(f"before = {number}\n" for number in range(1, 31))
    suffix = "".join(f"\nafter = {number}" for number in range(1, 31))
    lines = rendered(Ghost("a.py", prefix, "here", suffix)).splitlines()
    assert lines[0] == "  23 │ before = 23"
    assert "  31 │ «here»" in lines
    assert lines[-1] == "  35 │ after = 4"


def test_on_a_terminal_the_suggestion_is_set_off_by_its_style() -> None:
    text = rendered(
        Ghost("a.py", PREFIX, "a * b", SUFFIX), force_terminal=True, color_system="standard"
    )
    assert "«" not in text
    assert re.search(r"\x1b\[3;90(;49)?ma \* b\x1b\[0m", text)


def test_carriage_returns_do_not_reach_the_terminal() -> None:
    assert "\r" not in rendered(Ghost("a.py", "a\r\n", "b\r\nc", "\r\nd\r\n"))


def test_brackets_are_text_not_markup() -> None:
    assert "x = «[bold]y[/]»" in rendered(Ghost("a.py", "x = ", "[bold]y[/]", "\n"))
