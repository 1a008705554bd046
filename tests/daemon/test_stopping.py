import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_daemon.resident.stopping import Stopping
from umbrella_daemon.wire import Complete

CURSOR = "│"


def request(document: str, language: str = "") -> Complete:
    prefix, _, suffix = document.partition(CURSOR)
    return Complete(1, "file:///a", 1, language, "a", prefix, suffix)


def typed_out(
    document: str, answer: str, max_lines: int = 8, language: str = ""
) -> tuple[str, bool]:
    """Give the final text of an answer that grows by characters, and whether it was stopped."""
    stopping = Stopping(request(document, language), max_lines)
    for length in range(1, len(answer) + 1):
        if (end := stopping.update(answer[:length])) is not None:
            return end, True
    return stopping.finish(answer), False


@pytest.mark.parametrize(
    ("document", "answer", "end"),
    [
        # one line: text to the right of the cursor
        ("print(│)\nx", "a, b)\nfoo\n", "a, b)"),
        ("def f():│ # comment\n", "\n    return 1\n", ""),
        # one line: text before the cursor that opens no block
        ("x = │\n", "compute(a)\ny = 2\n", "compute(a)"),
        ("x = │", "1\r\ny = 2", "1"),
        ("    return│\n", " x\n    y\n", " x"),
        ("# for all of them, │\n", "we do this\n# and that\n", "we do this"),
        ("foo(a, │\n", "b)\nbar()\n", "b)"),
        ("x = 1│\n", "\ny = 2\n", ""),
        ("value│", " = 1   \nmore", " = 1"),
        # a block that the current line opens
        ("def f(x):│\n", "\n    y = x\n    return y\nprint(1)\n", "\n    y = x\n    return y"),
        ("    if a:│\n", "\n        b()\n    else:\n", "\n        b()"),
        ("\tif a {│\n", "\n\t\tb()\n\t}\n\tc()\n", "\n\t\tb()\n\t}"),
        ("if (a) {│\n", "\n  b();\n} else {\n  c();\n}\nd();\n", "\n  b();\n} else {\n  c();\n}"),
        ("f(│\n", "\n    a,\n    b,\n)\ng()\n", "\n    a,\n    b,\n)"),
        ("def f(│\n", "\n    a,\n) -> x:\n    y\nx\n", "\n    a,\n) -> x:\n    y"),
        ("x = [│\n", "1, 2,\n     3]\ny = 1\n", "1, 2,\n     3]"),
        ("items.map(x =>│\n", "\n  x + 1\n)\nfoo\n", "\n  x + 1\n)"),
        ("5.times do│\n", "\n  puts 1\nend\nputs 2\n", "\n  puts 1\nend"),
        ("if x; then│\n", "\n  echo\nfi\nls\n", "\n  echo\nfi"),
        ("<ul>{│\n", "\n  x\n}\n</ul>\n", "\n  x\n}"),
        # an opener whose line is then completed
        ("if x:│\n", " return 1\ny = 2\n", " return 1"),
        ("foo(│\n", "a, b)\nbar()\n", "a, b)"),
        ("d = {│\n", "'a': 1}\ne = 2\n", "'a': 1}"),
        # a block that goes on at a blank line
        ("def f():\n    │\n", "a = 1\n    return a\nb = 2\n", "a = 1\n    return a"),
        ("def f():\n│\n", "    a = 1\n    return a\nb = 2\n", "    a = 1\n    return a"),
        ("  f();\n  │\n", "g();\n  h();\n}\n", "g();\n  h();"),
        ("import os\n│", "import re\nimport sys\n\nx\n", "import re\nimport sys"),
        ("    for x in y:\n        │", "a()\n    b()\n", "a()"),
        ("        │", "\n    x\n", ""),
        ("│", "\n\n\nx = 1\n\n", "\n\n\nx = 1"),
        # blank lines end it, but not in front
        ("class A:│\n", "\n\n    x = 1\n\n    y = 2\n", "\n\n    x = 1"),
        ("def f():│\n", "\n    x = 1\n   \t\n    y = 2\n", "\n    x = 1"),
        # what already follows
        ("{\n  │\n}\n", "a: 1,\n}\n", "a: 1,"),
        ("f() {│\n}\n", "\n  g();\n}\nh();\n", "\n  g();"),
        ("x = 1\n│\nz = 3\n", "y = 2\nz = 3\nq = 4\n", "y = 2"),
        ("x = 1\n│\n\nz = 3\n", "z = 3\n", "z = 3"),
        ("│\nf(\n  1)\n", "f(\n  2)\n\nmore", "f(\n  2)"),
        ("a {│\n\n  f()\n    .g(2)\n", "\n  f()\n    .g(1)\n}\n", "\n  f()\n    .g(1)\n}"),
        ("│\nf()\ng()\nh()\n", "f()\ng()\nh()\ni()\n", "f()\ng()\nh()"),
        ("│\nend\n", "if x\n  y\nend\nend\n", "if x\n  y\nend"),
        ("│\n}\n", "if (x) {\n  y;\n}\n}\n", "if (x) {\n  y;\n}"),
        ("def f():\r\n    │\r\n    return 1\r\n", "x = 1\n    return 1\n", "x = 1"),
        # the same word, deeper: another line
        ("if a:\n  │\nreturn\n", "if b:\n    return\n  c\nx\n", "if b:\n    return\n  c"),
        # a block that the first line of the answer opens
        ("def f│\n", "(x):\n    return x\ny = 1\n", "(x):\n    return x"),
        ("  get│\n", " a() {\n    b;\n  }\n\n  set\n", " a() {\n    b;\n  }"),
        ("x = │\n", "f(\n    a,\n)\ny\n", "f(\n    a,\n)"),
        # brackets that an editor put there in pairs
        ("f() {│}\n", "\n  g();\n}\nh();\n", "\n  g();\n}"),
        ("on(() => {│});\n", "\n  g();\n});\nh();\n", "\n  g();\n});"),
        ("  f() {│}\n", "\n    g();\n\n    h();\n", "\n    g();\n  "),
        ("f(│)\n", "\n    a,\n    b,\n)\ng()\n", "\n    a,\n    b,\n)"),
        ("f(│)\n", "a, b\nmore", "a, b"),
        ("f(│)\n", "n) {\n  n;\n}\ng()\n", "n) {\n  n;\n}"),
        ("x = {│}\n", "'a': 1\nfoo", "'a': 1"),
        ("f(a, │)\n", "\nb", ""),
        # control tokens spelled out
        ("x = │\n", "foo<|fim_middle|>bar", "foo"),
        ("x = │\n", "foo<fim_prefix>", "foo"),
        ("def f():│\n", "\n    a\n    b<|file_sep|>", "\n    a\n    b"),
        # plain repetition
        ("│\n", "a()\nb()\na()\nb()\na()\nb()\na()\n", "a()\nb()"),
        ("│\n", "print()\nprint()\nprint()\nprint()\n", "print()"),
        ("if a:│\n", "\n    b\n    c\n    c\n    c\n    c\n", "\n    b\n    c"),
    ],
)  # fmt: skip
def test_stops(document: str, answer: str, end: str) -> None:
    assert typed_out(document, answer) == (end, True)
    assert Stopping(request(document), 8).update(answer) == end
    assert Stopping(request(document), 8).finish(answer) == end


@pytest.mark.parametrize(
    ("document", "answer", "end"),
    [
        ("x = │\n", "compute(a", "compute(a"),
        ("x = │\n", "1  ", "1"),
        ("print(│)", "a", "a"),
        ("def f(x):│\n", "\n    y = x\n    return y", "\n    y = x\n    return y"),
        ("f() {│\n}\n", "\n  g();\n}", "\n  g();"),
        ("if (a) {│\n", "\n  b();\n}", "\n  b();\n}"),
        ("5.times do│\n", "\n  puts 1\nen", "\n  puts 1"),
        ("    for x in y:\n        │", "a()\n    ", "a()"),
        # clearly cut off in a line that is not the first
        ("def f():\n    │", "a = 1\n    b = foo(a, ba", "a = 1"),
        ("def f():\n    │", "a = 1\n    b =", "a = 1"),
        ("def f():\n    │", "a = 1\n    if a and b ==", "a = 1"),
        ("def f():\n    │", "b = foo(a, ba", "b = foo(a, ba"),
        # between brackets that an editor put there in pairs
        ("f() {│}\n", "\n  g();\n", "\n  g();\n"),
        ("  f() {│}\n", "\n    g();\n  ", "\n    g();\n  "),
        ("f(│)\n", "\n    a", "\n    a"),
        ("f(a, │)\n", "b", "b"),
        # the space before what follows on the line
        ("f(│c)\n", "a, ", "a, "),
        ("f(│ c)\n", "a, ", "a,"),
        ("{│}\n", " a: 1 ", " a: 1 "),
        # ends that only look unfinished
        ("x = {\n    │\n}", "'a': 1,\n    'b': 2,", "'a': 1,\n    'b': 2,"),
        ("f(│\n)", "\n    a,\n    g(", "\n    a,\n    g("),
        ("def f():│", '\n    """Do."""\n    # All of it.', '\n    """Do."""\n    # All of it.'),
        ("│", "Title\n=====", "Title\n====="),
        ("│", "i = 0\ni++", "i = 0\ni++"),
    ],
)  # fmt: skip
def test_an_answer_that_ends_by_itself(document: str, answer: str, end: str) -> None:
    assert typed_out(document, answer) == (end, False)


@pytest.mark.parametrize(
    ("document", "answer", "end"),
    [
        ("x = │\n", "compute(a, ba", "compute(a,"),
        ("x = │\n", "comp", "comp"),
        ("x = │\n", "a.b", "a."),
        ("def f():│\n", "\n    a = 1\n    retu", "\n    a = 1"),
        ("def f():│\n", "\n    a = compu", "\n    a ="),
        ("x = [│", "'no', 'yes, so', 'yes, so', 'yes, so', 'yes, so', 'yes, ", "'no', 'yes, so'"),
        ("x = │\n", "a is not a is not a is not a is not a is not a is not ", "a is not"),
    ],
)  # fmt: skip
def test_an_answer_that_was_cut_shows_no_part_of_a_word(
    document: str, answer: str, end: str
) -> None:
    assert Stopping(request(document), 8).finish(answer, cut=True) == end


@pytest.mark.parametrize(
    ("language", "document", "answer", "end"),
    [
        # a comment or a string opens nothing, whatever it ends in
        ("python", "# all of them:│\n", "\nx = 1\ny = 2\n", ""),
        ("rust", "// all {│\n", "\nlet x = 1;\n", ""),
        ("python", "x = 1  # see│\n", " here:\n    y = 2\n", " here:"),
        ("go", "// foo│\n", " (see below\n// there)\n", " (see below"),
        # colons that open no block
        ("python", "x = {'a':│\n", "\n  1}\n", ""),
        ("python", "f = lambda x:│\n", " x\ny = 1\n", " x"),
        ("python", "a[1:│\n", "\n2]\n", ""),
        # colons that do
        ("python", "if x:\n    y\nelse:│\n", "\n    z\nx = 1\n", "\n    z"),
        ("python", "match x:\n    case 1:│\n", "\n        z\nx = 1\n", "\n        z"),
        # neither blank nor dedented: it stands in a string or comment
        ("python", "def f():│\n", '\n    \"\"\"A.\n\nB.\n    \"\"\"\n    x\ny\n',
         '\n    \"\"\"A.\n\nB.\n    \"\"\"\n    x'),
        ("javascript", "f() {│\n", "\n  x = `a\n\nb`;\n}\ng();\n", "\n  x = `a\n\nb`;\n}"),
        ("go", "func f() {│\n", "\n\tx := `a\nb`\n}\ng()\n", "\n\tx := `a\nb`\n}"),
        ("c", "int f() {│\n", "\n  /* a\n\n b */\n  x;\n}\ny\n", "\n  /* a\n\n b */\n  x;\n}"),
        ("", "def f():│\n", '\n    \"\"\"A.\n\nB.\n    \"\"\"\n    x\ny\n', '\n    \"\"\"A.'),
    ],
)  # fmt: skip
def test_the_grammar_decides_where_shapes_cannot(
    language: str, document: str, answer: str, end: str
) -> None:
    assert typed_out(document, answer, language=language) == (end, True)


@pytest.mark.parametrize("max_lines", [1, 2, 3])
def test_no_more_than_max_lines(max_lines: int) -> None:
    end, stopped = typed_out("if a:│\n", "\n    b\n    c\n    d\n    e\n", max_lines)
    assert stopped
    assert end.split() == ["b", "c", "d"][:max_lines]


def test_a_dedent_is_seen_before_its_line_ends() -> None:
    stopping = Stopping(request("    for x in y:│\n"), 8)
    assert stopping.update("\n        a()\n    ") is None
    assert stopping.update("\n        a()\n    p") == "\n        a()"


@pytest.mark.parametrize("start", ["}", "e", "en", "end", "<", "  x"])
def test_a_line_that_may_still_close_the_block_is_waited_for(start: str) -> None:
    stopping = Stopping(request("a do│\n"), 8)
    assert stopping.update("\n  b\n" + start) is None


@pytest.mark.parametrize(
    ("document", "end"),
    [
        ("x\r\nif a:│\r\n", "\r\n    b\r\n    c"),
        ("if a:│\r\nx", "\r\n    b\r\n    c"),
        ("x\nif a:│\r\n", "\n    b\n    c"),
        ("if a:│", "\n    b\n    c"),
    ],
)
@pytest.mark.parametrize("answer", ["\n    b\n    c\nx", "\r\n    b\r\n    c\r\nx"])
def test_line_ends_are_those_of_the_document(document: str, end: str, answer: str) -> None:
    assert typed_out(document, answer) == (end, True)


LINE = st.builds(
    lambda indent, line: indent + line,
    st.sampled_from(["", "  ", "    ", "\t", "      "]),
    st.sampled_from(["", "x = 1", "}", "end", "if a {", "def f():", "return", "f(a, b", ")", "é"]),
)
TEXT = st.lists(LINE, max_size=7).map("\n".join)


@given(
    prefix=TEXT,
    suffix=TEXT,
    answer=TEXT,
    max_lines=st.integers(1, 5),
    cut=st.integers(0, 99),
    language=st.sampled_from(["", "python", "javascript"]),
)
def test_the_end_does_not_depend_on_the_pieces(
    prefix: str, suffix: str, answer: str, max_lines: int, cut: int, language: str
) -> None:
    document = prefix + CURSOR + suffix
    end, stopped = typed_out(document, answer, max_lines, language)
    head, line_break, indentation = end.rpartition("\n")
    kept = head if line_break and not indentation.strip() else end
    if not suffix.partition("\n")[0].strip():
        assert kept == kept.rstrip()
    assert answer.startswith(kept)
    assert sum(bool(line.strip()) for line in end.split("\n")) <= max_lines
    assert Stopping(request(document, language), max_lines).finish(answer) == end
    later = Stopping(request(document, language), max_lines).update(answer + "\nmore"[: cut % 6])
    if stopped:
        assert later == end
    cut_end = Stopping(request(document, language), max_lines).finish(answer, cut=True)
    assert cut_end == end if stopped else answer.startswith(cut_end.rstrip())
