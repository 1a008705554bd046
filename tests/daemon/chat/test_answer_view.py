import io

import pytest
from rich.console import Console

from umbrella_daemon.chat.answer_view import AnswerView, printable, rendered
from umbrella_daemon.chat.markdown_stream import MarkdownStream

TEXT = """\
# Title

Some *text* and `code`, <b>tags</b> too.

1. first

2. second

```python
def f():
    \"\"\"Two
    lines.\"\"\"

    return 1
```

| a | b |
|---|---|
| 1 | 2 |

The end."""
SHOWN = """\
Title

Some text and code, <b>tags</b> too.

 1 first
 2 second

python
def f():
    \"\"\"Two
    lines.\"\"\"

    return 1

 a  b
 ────
 1  2

The end.
"""


def show(pieces: list[str]) -> str:
    out = io.StringIO()
    with AnswerView(Console(file=out, width=60), lambda: "footer") as view:
        for piece in pieces:
            view.feed(piece)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


@pytest.mark.parametrize("size", [1, 7, len(TEXT)])
def test_an_answer_looks_the_same_however_it_comes(size: int) -> None:
    pieces = [TEXT[start : start + size] for start in range(0, len(TEXT), size)]
    assert show(pieces).strip() == SHOWN.strip()


def test_lines_of_code_have_the_colours_of_the_whole() -> None:
    stream = MarkdownStream()
    *_, last, _ = [*stream.feed('```py\n"""Two\nlines."""'), *stream.end()]
    console = Console(force_terminal=True, color_system="standard", width=40)
    with console.capture() as drawn:
        console.print(rendered(last))
    assert drawn.get().startswith("\x1b[")  # by itself it would be no string
    assert "lines." in drawn.get()


def test_a_terminal_is_told_nothing_by_an_answer() -> None:
    assert printable("a\x1b]0;title\x07b\r\tc\u202e\n") == "a]0;titleb\tc\n"
    assert printable("👩\u200d💻") == "👩\u200d💻"
    assert "\x1b[31m" not in show(["\x1b[31mred\x1b[0m"])
