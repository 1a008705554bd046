import pytest

from umbrella_daemon.languages import BY_EXTENSION, language_id


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b.py", "python"),
        ("a.PY", "python"),
        ("a.tsx", "typescriptreact"),
        ("a.h", "c"),
        ("a.go", "go"),
        ("run.sh", "shellscript"),
        ("/src/Makefile", "makefile"),
        ("Dockerfile", "dockerfile"),
        ("README", ""),
        (".env", ""),
        ("", ""),
    ],
)
def test_language_follows_from_the_name(path: str, expected: str) -> None:
    assert language_id(path) == expected


def test_the_table_holds_no_extension_that_is_the_id_itself() -> None:
    assert [extension for extension, found in BY_EXTENSION.items() if extension == found] == []
