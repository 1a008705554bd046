import pytest

from umbrella_daemon.resident import grammar
from umbrella_daemon.resident.grammar import NoGrammar, TreeSitter, grammar_of

LANGUAGES = sorted(grammar._GRAMMARS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_grammar_is_there(language: str) -> None:
    assert isinstance(grammar_of(language), TreeSitter)
    assert grammar_of(language) is grammar_of(language)


@pytest.mark.parametrize("language", ["", "cobol", "plaintext"])
def test_other_languages_have_none(language: str) -> None:
    other = grammar_of(language)
    assert isinstance(other, NoGrammar)
    assert not other.in_text("# a")
    assert other.colon_opens("a:")


def test_a_grammar_that_is_not_installed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(grammar._GRAMMARS, "brainfuck", ("tree_sitter_brainfuck", "language"))
    assert isinstance(grammar_of("brainfuck"), NoGrammar)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "x = 1  # note"),
        ("python", "def f():\n    '''Doc\n\n    more"),
        ("python", "x = 'open"),
        ("python", 'print(f"{a} open'),
        ("javascript", "f(); // note"),
        ("javascript", "/* a\n * b"),
        ("javascript", "x = `a\nb"),
        ("javascriptreact", "// x"),
        ("typescript", 'const a: string = "open'),
        ("typescriptreact", "/** doc"),
        ("rust", "/// Doc"),
        ("rust", 'fn f() { let x = "a: '),
        ("go", "x := `a\n"),
        ("c", "int a; /* b"),
        ("cpp", 'std::string s = "open'),
        ("csharp", "class A { // note"),
        ("java", "/** doc\n * more"),
        ("ruby", "x # note"),
        ("php", "<?php\n// note"),
        ("php", "<?php\n$a = 'open"),
        ("shellscript", 'echo "open\nmore'),
    ],
)
def test_ends_in_a_string_or_comment(language: str, text: str) -> None:
    assert grammar_of(language).in_text(text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", ""),
        ("python", "x = 1  # note\n"),
        ("python", "x = 'closed' + "),
        ("python", "'''Doc'''\n"),
        ("python", 'print(f"{a'),
        ("javascript", "x = `a${b"),
        ("javascript", "/* a */ b"),
        ("typescript", "f('a', "),
        ("rust", "let x = 'a';\n"),
        ("go", "x := `a`\n"),
        ("c", "int a; /* b */ int"),
        ("java", "// x\nint"),
        ("ruby", "x = 'a'\n"),
        ("php", "<?php\n$a = 'b';\n"),
        ("shellscript", "echo 'a' "),
    ],
)
def test_ends_in_code(language: str, text: str) -> None:
    assert not grammar_of(language).in_text(text)


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("def f(x):", True),
        ("class A(B):", True),
        ("try:", True),
        ("if x:\n    y\nelif z:", True),
        ("for x in y:  ", True),
        ("x = {'a':", False),
        ("x = {\n    'a': 1,\n    'b':", False),
        ("lambda x:", False),
        ("a[1:", False),
        ("def f(a:", False),
        ("# note:", False),
    ],
)
def test_python_colons(text: str, opens: bool) -> None:
    assert grammar_of("python").colon_opens(text) is opens


def test_only_the_end_of_a_long_text_is_read() -> None:
    long = "x = 1\n" * 50_000
    assert not grammar_of("python").in_text(long)
    assert grammar_of("python").in_text(long + "# note")
