"""An answer on a terminal while it is written: settled blocks for good, the tail drawn again."""

import unicodedata
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import ClassVar, Final, Self

from rich.console import (
    Console,
    ConsoleOptions,
    Group,
    JustifyMethod,
    RenderableType,
    RenderResult,
)
from rich.live import Live
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.segment import Segment
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.text import Text

from umbrella_daemon.chat.markdown_stream import (
    Block,
    Code,
    FenceClosed,
    FenceOpened,
    MarkdownStream,
    Prose,
    parser,
)

DRAWN_PER_SECOND: Final = 12
CODE_THEME: Final = "ansi_dark"  # the terminal's own colours
SPARE_LINES: Final = 4  # of the terminal, below the tail and above it
_KEPT: Final = "\n\t"
_TURNS: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # of the writing direction


class AnswerView:
    """A context manager; for its time the last line of the terminal is what `footer` gives."""

    def __init__(self, console: Console, footer: Callable[[], str]) -> None:
        self._console = console
        self._footer = footer
        self._stream = MarkdownStream()
        self._spinner = Spinner("dots", style="dim")
        self._begun = False  # whether something was printed for good
        self._live = Live(
            console=console,
            refresh_per_second=DRAWN_PER_SECOND,
            transient=True,
            get_renderable=self._unsettled,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        """Take over the last lines of the terminal."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Print what is left and give the lines back."""
        self._print(self._stream.end())
        self._live.stop()

    def feed(self, piece: str) -> None:
        """Show a piece of the answer."""
        self._print(self._stream.feed(printable(piece)))

    def _print(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            if self._begun and _begins_below_a_gap(block):
                self._console.print()
            self._begun = True
            if (shown := rendered(block)) is not None:
                self._console.print(shown, soft_wrap=isinstance(block, Code))

    def _unsettled(self) -> RenderableType:
        tail = self._stream.tail
        shown = None if tail is None else rendered(tail)
        parts: list[RenderableType] = []
        if tail is not None and shown is not None:
            if self._begun and _begins_below_a_gap(tail):
                parts.append(Text())
            # more could not be drawn again
            parts.append(_Lines(shown, max(1, self._console.height - SPARE_LINES)))
        self._spinner.update(text=Text(self._footer(), "dim", no_wrap=True, overflow="ellipsis"))
        return Group(*parts, Text(), self._spinner)


class _Lines:
    """The lines of something without the blank ones above and below; only its end, if told so."""

    def __init__(self, shown: RenderableType, at_most: int | None = None) -> None:
        self._shown = shown
        self._at_most = at_most

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._shown, options.update(height=None), pad=False)
        said = [place for place, line in enumerate(lines) if any(one.text.strip() for one in line)]
        lines = lines[said[0] : said[-1] + 1] if said else []
        for line in lines[-(self._at_most or len(lines)) :]:
            yield from line
            yield Segment.line()


class _Heading(Heading):
    """At the left, whatever its level."""

    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = dict.fromkeys(Heading.LEVEL_ALIGN, "left")


class _Markdown(Markdown):
    """Shows tags of HTML, which would be left out."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
    }

    def __init__(self, source: str) -> None:
        super().__init__(source, code_theme=CODE_THEME)
        self.parsed = parser().parse(source)


def rendered(block: Block) -> RenderableType | None:
    """Give what a block looks like; None where there is nothing to see."""
    match block:
        case Prose(source=source):
            return _Lines(_Markdown(source)) if source.strip() else None
        case FenceOpened(language=language):
            return Text(language, "dim italic") if language else None
        case Code():
            return _highlighted(block)
        case FenceClosed():
            return None


def _highlighted(code: Code) -> Text:
    """Give one line in the colours that it has below those before it."""
    syntax = Syntax("", code.language or "text", theme=CODE_THEME, background_color="default")
    line = code.source.rstrip("\n")
    text = syntax.highlight(code.before + line)
    text.rstrip()
    lines = text.split("\n", allow_blank=True)
    return lines[-1] if line.strip() and lines[-1].plain == line else Text(line)


def _begins_below_a_gap(block: Block) -> bool:
    return isinstance(block, FenceOpened) or (
        isinstance(block, Prose) and block.source.strip() != ""
    )


def printable(text: str) -> str:
    """Leave out what a terminal would obey instead of show."""
    return "".join(
        one
        for one in text
        if one in _KEPT or (unicodedata.category(one) != "Cc" and one not in _TURNS)
    )
