import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_daemon.resident.postprocess import Shown, Silence, postprocess
from umbrella_daemon.wire import Complete, Reason

CURSOR = "│"


def request(document: str) -> Complete:
    prefix, _, suffix = document.partition(CURSOR)
    return Complete(1, "file:///a", 1, "", "a", prefix, suffix)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        # Python
        ("x = │\n", "compute(a)"),
        ("print(│)\n", "bar(a)"),  # its bracket is its own
        ("assert f(│, 3)\n", "a == b"),
        ("def f(x):│\n\nf(1)\n", "\n    return x"),
        ("if a:\n    return 1\n│\nreturn 3\n", "return 2"),
        ('print("│")\n', "Obj: "),
        ('s = "│"\n', '" + x + "'),
        ("    │\n    y = 2\n", "x = 2"),
        ("for x in│ y:\n", " range(3), "),
        ("print(│)\n", 'a, ":)"'),  # a bracket in a string closes nothing
        ("x = │else_value\n", "a if b or e"),  # a letter in common is no repetition
        ("log(a)\nlog(│\nlog(b)\n", "b)"),  # the user began this line
        # the same line deeper in, or above
        ("if a:\n    return\n│\n", "if b:\n    return"),
        # JavaScript and TypeScript
        ("console.log(│);\n", "obj.map((x) => x)"),
        ("const f = (│) => 1;\n", "a, b = g()"),
        ("if (a) {\n  │\n}\n", "if (b) {\n    c();\n  }"),
        ("it('a', () => {\n  │\n});\n", "it('b', () => {\n    x();\n  });"),
        # Rust, Go, C
        ("let x = vec![│];\n", "1, 2, foo[3]"),
        ("fn f() {│\n", "\n    0\n}"),
        ("if err != nil {\n\treturn err\n}\n│\n\treturn nil\n}\n", "x := 1"),
        ("int a[] = {│};\n", "1, 2, (3)"),
        # markup, prose
        ("<p>│</p>\n", "Some <b>bold</b> text"),
        ("It does not│ matter.\n", " really, don't you think,"),
        ("│", "\n\nfirst"),
        # a block whose own closing line looks like the one that follows
        ("│\n}\n", "if (x) {\n  y();\n}"),
    ],
)
def test_right_text_stays_byte_for_byte(document: str, text: str) -> None:
    assert postprocess(request(document), text) == Shown(text, 0)


@pytest.mark.parametrize(
    ("document", "text", "replaced"),
    [
        ("foo(│)\n", "a)", ")"),
        ("foo(│)\n", "bar(a))", ")"),
        ("foo(│)  \n", "a):", ")"),
        ("foo(│);\n", "a);", ");"),
        ("foo(│);\n", "a)", ")"),
        ("foo(│)\n", "a);", ")"),
        ("foo(bar(│))\n", "a))", "))"),
        ("foo(bar(│))\n", "a)", ")"),
        ("foo(bar(│))\n", "a, max), min);", "))"),
        ("x = [f(│)]\n", "1)]", ")]"),
        ('print("│")\n', 'hello")', '")'),
        ('print("│")\n', 'a: ", a)', '")'),
        ("s = '│'\n", "name'", "'"),
        ("s = `│`\n", "a${b}`", "`"),
        ('m.insert("│")\n', 'key".to_string(), value);', '")'),
        ("function f(│)\n", "n) {\n  return n;\n}", ")"),
        ("on('data', (d) => {│})\n", "\n  log(d);\n});", "})"),
        ("<App │/>\n", "message={m} />", "/>"),
        ("  </│>\n", "React.StrictMode>", ">"),
        ("const g = ({ a }: { a:│ }) => {\n  a;\n", " boolean }) => {", " }) => {"),
        ("foo(│, b)\n", "a, b)", ", b)"),
        ("foo(│, b)\n", "a,", ","),
        ("x = a │+ b\n", "* c +", "+"),
        ("def f(│):\r\n    pass\r\n", "a, b):", "):"),
    ],
)
def test_what_the_text_writes_itself_is_replaced(document: str, text: str, replaced: str) -> None:
    assert request(document).suffix.startswith(replaced)
    assert postprocess(request(document), text) == Shown(text, len(replaced))


@pytest.mark.parametrize(
    ("document", "text", "shown"),
    [
        ("function f() {│\n}\n", "\n  g();\n}", "\n  g();"),
        ("function f() {│\r\n}\r\n", "\r\n  g();\r\n}", "\r\n  g();"),
        ("x = [\n│\n]\n", "    1,\n    2,\n]", "    1,\n    2,"),
        ("a = 1\n│\nc = 3\nd = 4\n", "b = 2\nc = 3\nd = 4", "b = 2"),
        ("a = 1\n│\n\nc = 3\n", "b = 2\n\nc = 3", "b = 2"),
        ("if (a) {\n  │\n}\n", "b();\n}", "b();"),
    ],
)
def test_lines_that_follow_are_left_out(document: str, text: str, shown: str) -> None:
    assert postprocess(request(document), text) == Shown(shown, 0)


@pytest.mark.parametrize("text", ["", " ", "\n\t\n", "\r\n"])
def test_blank_text_is_nothing(text: str) -> None:
    outcome = postprocess(request("x = │\n"), text)
    assert outcome == Silence(Reason.EMPTY, "The model had nothing to add here.")


@pytest.mark.parametrize(
    ("document", "text", "what"),
    [
        ("foo(│)\n", ")", "rest of the line"),
        ("x = │ compute(a)\n", "compute(a)", "rest of the line"),
        ("f() {\n  │\n  log(x);\n}\n", "log(x);", "lines that follow"),
        ("f() {\n  │\n\n  log(x);\n  g();\n}\n", "log(x);\n  g();", "lines that follow"),
        ("if a {│\n}\n", "\n}", "lines that follow"),
        ("import os\n│import re\n", "import re", "rest of the line"),
    ],
)
def test_text_that_only_repeats_is_nothing(document: str, text: str, what: str) -> None:
    outcome = postprocess(request(document), text)
    assert outcome == Silence(Reason.REPEATS, f"The answer only repeats the {what}.")


PIECES = st.lists(
    st.sampled_from([*"()[]{};,'\"\n ", "a", "foo", " = ", "    ", "}\n", "return x", "é"]),
    max_size=12,
).map("".join)


@given(prefix=PIECES, suffix=PIECES, text=PIECES)
def test_text_is_never_invented(prefix: str, suffix: str, text: str) -> None:
    outcome = postprocess(Complete(1, "d", 1, "", "", prefix, suffix), text)
    if isinstance(outcome, Silence):
        assert outcome.reason in (Reason.EMPTY, Reason.REPEATS)
        return
    assert text.startswith(outcome.text)
    assert outcome.text.strip()
    assert 0 <= outcome.replace_after <= len(suffix.split("\n")[0])
    left_out = text[len(outcome.text) :].split()
    assert left_out == suffix.split("\n", 1)[-1].split()[: len(left_out)]
