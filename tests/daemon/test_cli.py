import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.daemons import Home
from umbrella_daemon import __version__
from umbrella_daemon.cli import main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_every_command_is_listed_with_a_line_of_help() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in ("complete", "demo", "doctor", "logs", "models", "start", "status", "stop", "tune"):
        assert re.search(rf"^  {name} +[A-Z].*\.$", result.output, re.MULTILINE), name


@pytest.mark.parametrize(
    "command", [(), *((name,) for name in main.commands), ("models", "get"), ("models", "list")]
)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_version() -> None:
    assert run("--version").output == f"umbrella {__version__}\n"


@pytest.mark.parametrize("place", ["a.py", "a.py:x", "a.py:0", "a.py:1:0", ":3", "a.py:1:-2"])
def test_a_place_that_is_none_is_a_usage_error(place: str) -> None:
    result = run("complete", place)
    assert result.exit_code == 2
    assert "FILE:LINE:COL" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-s", "pair", "status"), "'pair' has no value; write SECTION.KEY=VALUE."),
        (("nonsense",), "No such command 'nonsense'"),
        (("complete", "a.py:1", "--max-tokens", "0"), "0 is not in the range"),
    ],
)
def test_bad_usage_ends_with_2(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("-s", "completion.max_token=3", "status"),
            "command line: there is no setting completion.max_token; did you mean "
            "completion.max_tokens?",
        ),
        (("-s", "draft.max_nodes=many", "status"), 'command line: draft.max_nodes = "many"'),
        (("--config", "none.toml", "status"), "none.toml: cannot be read"),
        (("status",), "no daemon is running"),
        (("logs",), "There is no log yet"),
        (("complete", "none.py:1"), "none.py cannot be read: No such file"),
    ],
)
def test_expected_trouble_is_one_message_and_1(
    home: Home, arguments: tuple[str, ...], message: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_later_assignments_and_options_win(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    result = run(
        "-s", "completion.enabled=true", "-s", "completion.enabled=false", *command(source)
    )
    assert result.exit_code == 0
    assert "Nothing to suggest (disabled): completion.enabled is false" in result.stderr


def command(source: Path) -> tuple[str, str]:
    return "complete", f"{source}:1"


def test_a_config_file_is_read(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    config = tmp_path / "mine.toml"
    config.write_text('[completion]\ndisabled_languages = ["python"]\n')
    result = run("--config", str(config), *command(source))
    assert result.exit_code == 0
    assert "python is in completion.disabled_languages" in result.stderr


def test_nothing_to_stop_is_no_failure(home: Home) -> None:
    result = run("stop")
    assert (result.exit_code, result.output) == (0, "No daemon was running.\n")
