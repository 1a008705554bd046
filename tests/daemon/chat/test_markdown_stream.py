import random

from hypothesis import given
from hypothesis import strategies as st

from umbrella_daemon.chat.markdown_stream import (
    Block,
    Code,
    FenceClosed,
    FenceOpened,
    MarkdownStream,
    Prose,
)

TEXT = """\
# Title

A paragraph
of two lines.

- one
  ```
  inside
  ```
- two

```python
def f():

    return "```"
```
The end"""
LINES = [
    "a",
    "",
    "- b",
    "  c",
    "1. d",
    "```py",
    "```",
    "~~~",
    "````",
    "# e",
    "===",
    "|f|g|",
    "|-|-|",
]


def blocks(pieces: list[str]) -> list[Block]:
    stream = MarkdownStream()
    found = [block for piece in pieces for block in stream.feed(piece)]
    return [*found, *stream.end()]


def test_blocks_are_what_they_look_like() -> None:
    assert blocks([TEXT]) == [
        Prose("# Title\n\n"),
        Prose("A paragraph\nof two lines.\n\n"),
        Prose("- one\n  ```\n  inside\n  ```\n- two\n\n"),
        FenceOpened("```python\n", "python"),
        Code("def f():\n", "python", ""),
        Code("\n", "python", "def f():\n"),
        Code('    return "```"\n', "python", "def f():\n\n"),
        FenceClosed("```\n"),
        Prose("The end"),
    ]


def test_a_fence_is_closed_by_its_own_kind_only() -> None:
    found = blocks(["````md\n```\n~~~~\n````\nafter"])
    assert [type(block) for block in found] == [FenceOpened, Code, Code, FenceClosed, Prose]


def test_a_fence_that_is_never_closed_ends_with_the_text() -> None:
    assert blocks(["```\nx = 1"]) == [
        FenceOpened("```\n", ""),
        Code("x = 1", "", ""),
        FenceClosed(""),
    ]


def test_a_block_is_settled_once_the_next_one_has_a_line() -> None:
    stream = MarkdownStream()
    assert stream.feed("one\n\ntw") == []
    assert stream.tail == Prose("one\n\ntw")
    assert stream.feed("o\n") == [Prose("one\n\n")]
    assert stream.tail == Prose("two\n")


def test_a_line_of_code_is_settled_when_it_ends() -> None:
    stream = MarkdownStream()
    assert stream.feed("```py\nx = ") == [FenceOpened("```py\n", "py")]
    assert stream.tail == Code("x = ", "py", "")
    assert stream.feed("1\ny") == [Code("x = 1\n", "py", "")]


@given(st.lists(st.sampled_from(LINES), max_size=12), st.booleans(), st.integers())
def test_however_it_is_cut_the_blocks_are_the_same(
    lines: list[str], ended: bool, seed: int
) -> None:
    text = "\n".join(lines) + "\n" * ended
    whole = blocks([text])
    assert "".join(block.source for block in whole) == text
    rng = random.Random(seed)
    cuts = sorted(rng.sample(range(len(text) + 1), k=min(5, len(text) + 1)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert blocks(pieces) == whole
    assert blocks(list(text)) == whole
