"""The command `umbrella` as a person meets it: real processes, a real daemon, canned answers."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editor import Message, isolated
from umbrella_daemon import __version__
from umbrella_daemon.demo.sample import PREFIX

pytestmark = pytest.mark.e2e

COMMAND = str(Path(sys.executable).with_name("umbrella"))
SECONDS = 60
VALUE = "return sum(item.price for item in self.items.values())"
SCRIPT: Message = {
    "answers": [
        {"ends_with": PREFIX[-40:], "text": VALUE},
        {"ends_with": "def ad", "text": "d(a, b):"},
        {"ends_with": "nothing", "text": ""},
    ],
    "default": "scripted",
}


class Terminal:
    """Runs `umbrella` in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = isolated(home, SCRIPT)

    def script(self, **content: object) -> None:
        """Say what the next daemon's engine does."""
        (self.home / "script.json").write_text(json.dumps(content))

    def umbrella(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command that ends with `status`."""
        done = subprocess.run(
            [COMMAND, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            cwd=self.home,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def json(self, *arguments: str, status: int = 0) -> Message:
        """Run a command that prints JSON."""
        return dict(json.loads(self.umbrella(*arguments, status=status).stdout))

    def shown(self, *arguments: str) -> str:
        """Run a command on a terminal; give all that appeared there."""
        master, slave = pty.openpty()
        environment = self.environment | {"TERM": "xterm-256color", "COLUMNS": "100"}
        process = subprocess.Popen(
            [COMMAND, *arguments], env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        seen = b""
        try:
            while chunk := os.read(master, 2**16):
                seen += chunk
        except OSError:  # Linux: the other end is closed
            pass
        os.close(master)
        assert process.wait(SECONDS) == 0, seen.decode()
        return seen.decode()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.umbrella("stop")


def test_a_daemon_is_started_found_again_and_stopped(terminal: Terminal) -> None:
    assert "no daemon is running" in terminal.umbrella("status", status=1).stderr
    assert terminal.json("status", "--json", status=1)["running"] is False
    first = terminal.umbrella("start").stdout
    assert re.fullmatch(r"The daemon is ready after [\d.]+ s: scripted: .* on .*\n", first)
    assert "The daemon was running: scripted" in terminal.umbrella("start").stdout
    status = terminal.json("status", "--json")
    assert status["running"] is True
    assert status["phase"]["phase"] == "ready"
    assert status["version"] == __version__
    assert "scripted: canned answers" in terminal.umbrella("status").stdout
    assert terminal.umbrella("stop").stdout == "The daemon has stopped.\n"
    assert terminal.umbrella("stop").stdout == "No daemon was running.\n"


def test_start_shows_the_way_to_ready(terminal: Terminal) -> None:
    phases = [
        {"phase": "downloading", "message": "downloading weights", "done": done, "total": 100}
        for done in (0, 60)
    ]
    phases.append({"phase": "converting", "message": "converting weights"})
    terminal.script(phases=phases, load_ms=900)
    shown = terminal.umbrella("start").stderr
    assert "downloading weights 60 %" in shown
    assert "converting weights" in shown


def test_start_returns_at_once_where_told_so(terminal: Terminal) -> None:
    terminal.script(load_ms=30_000)
    assert "umbrella status" in terminal.umbrella("start", "--no-wait").stdout
    assert terminal.json("status", "--json")["phase"]["phase"] in ("starting", "loading")


def test_a_model_that_cannot_be_loaded_is_a_message(terminal: Terminal) -> None:
    terminal.script(fail="there is no room for the weights")
    assert "there is no room for the weights" in terminal.umbrella("start", status=1).stderr


def test_another_pair_is_not_forced_upon_a_running_daemon(terminal: Terminal) -> None:
    terminal.umbrella("start")
    refused = terminal.umbrella("start", "--pair", "smollm2", status=1).stderr
    assert "another pair is running (scripted" in refused
    assert terminal.json("status", "--json")["phase"]["phase"] == "ready"


def test_complete_prints_the_text_alone(terminal: Terminal) -> None:
    source = terminal.home / "a.py"
    source.write_text("def ad\n\nprint(add(1, 2))\n")
    assert terminal.umbrella("complete", "a.py:1").stdout == "d(a, b):\n"
    assert terminal.umbrella("complete", f"{source}:1:7").stdout == "d(a, b):\n"


def test_complete_in_json_has_reason_and_trace(terminal: Terminal) -> None:
    (terminal.home / "a.py").write_text("def ad\nnothing\n")
    found = terminal.json("complete", "a.py:1", "--json")
    assert found["text"].startswith("d(a, b):")
    assert found["reason"] == ""
    assert found["trace"]["generated_tokens"] > 0
    assert found["trace"]["language"] == "python"
    assert "total" in found["trace"]["ms"]
    silent = terminal.json("complete", "a.py:2", "--json", "--language", "ruby")
    assert silent["text"] == ""
    assert silent["reason"] == "empty"
    assert silent["trace"]["language"] == "ruby"


def test_complete_says_on_stderr_why_there_is_nothing(terminal: Terminal) -> None:
    (terminal.home / "a.py").write_text("nothing\n")
    done = terminal.umbrella("complete", "a.py:1")
    assert done.stdout == ""
    assert "Nothing to suggest (empty)" in done.stderr


def test_complete_never_reads_secrets(terminal: Terminal) -> None:
    (terminal.home / ".env").write_text("TOKEN=\n")
    done = terminal.umbrella("complete", ".env:1")
    assert "Nothing to suggest (excluded)" in done.stderr
    assert "no daemon is running" in terminal.umbrella("status", status=1).stderr


def test_complete_obeys_max_tokens(terminal: Terminal) -> None:
    (terminal.home / "a.py").write_text("x = \n")
    terminal.script(default="abcdefghijklmnop")
    assert terminal.umbrella("complete", "a.py:1", "--max-tokens", "8").stdout == "abcdefgh\n"


def test_complete_shows_ghost_text_on_a_terminal(terminal: Terminal) -> None:
    source = terminal.home / "a.py"
    source.write_text("# sum\ndef ad\n")
    shown = terminal.shown("complete", f"{source}:2")
    assert re.search(r"\x1b\[3;90(;49)?md\x1b", shown)
    assert "# sum" in shown


def test_traces_of_requests_are_in_the_status(terminal: Terminal) -> None:
    (terminal.home / "a.py").write_text("def ad\nnothing\n")
    for line in (1, 2):
        terminal.umbrella("complete", f"a.py:{line}")
    status = terminal.json("status", "--json")
    assert (status["requests"], status["shown"], status["reasons"]) == (2, 1, {"empty": 1})
    assert [trace["reason"] for trace in status["traces"]] == ["", "empty"]
    assert len(terminal.json("status", "--json", "--traces", "1")["traces"]) == 1
    assert "empty 1" in terminal.umbrella("status").stdout


def test_logs_are_printed_and_followed(terminal: Terminal) -> None:
    terminal.umbrella("start")
    assert "phase ready" in terminal.umbrella("logs").stdout
    assert len(terminal.umbrella("logs", "-n", "1").stdout.splitlines()) == 1
    process = subprocess.Popen(
        [COMMAND, "logs", "-f", "-n", "1"],
        env=terminal.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()  # it has begun to follow
        terminal.umbrella("stop")
        assert any("stopping: " in line for line in process.stdout)
    finally:
        process.kill()
        process.communicate()


def test_settings_from_the_command_line_reach_the_daemon(terminal: Terminal) -> None:
    (terminal.home / "a.py").write_text("x = \n")
    terminal.script(default="one\ntwo\nthree\n")
    set_lines = ("-s", "completion.max_lines=2", "-s", "daemon.traces=1")
    for _ in range(2):
        terminal.umbrella(*set_lines, "complete", "a.py:1")
    assert len(terminal.json("status", "--json")["traces"]) == 1


@pytest.mark.parametrize("arguments", [("--help",), ("status",), ("complete", "a.py:1")])
def test_torch_is_not_imported(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    (terminal.home / "a.py").write_text("def ad\n")
    heavy = {"torch", "transformers"}
    if arguments == ("--help",):  # there at once
        heavy |= {"rich", "lsprotocol", "httpx"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", COMMAND, *arguments],
        env=terminal.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=terminal.home,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported & heavy == set()


def test_the_demo_shows_a_suggestion_and_what_it_cost(terminal: Terminal) -> None:
    shown = terminal.umbrella("demo").stdout
    assert f"        «{VALUE}»" in shown.replace("\n", "")
    assert "Warm start: the weights were here, the daemon was started" in shown
    assert re.search(r"Typed 20 characters.* \d+ ms \(p50\) and \d+ ms \(p95\)", shown, re.DOTALL)
    assert "tokens computed" in shown
    assert "The daemon goes on running" in shown
    assert terminal.json("status", "--json")["requests"] == 21
    again = terminal.umbrella("demo", "--stop").stdout
    assert "The daemon was running already; first suggestion after" in again
    assert "The daemon was stopped." in again
    assert "no daemon is running" in terminal.umbrella("status", status=1).stderr


def test_the_demo_on_a_terminal_uses_colours_not_marks(terminal: Terminal) -> None:
    shown = terminal.shown("demo")
    assert "«" not in shown
    assert re.search(r"\x1b\[3;90(;49)?mreturn\x1b", shown)


def test_a_demo_that_gets_no_model_says_why(terminal: Terminal) -> None:
    terminal.script(fail="the package index cannot be reached")
    assert "the package index cannot be reached" in terminal.umbrella("demo", status=1).stderr


def test_the_doctor_finds_all_well_and_leaves_nothing_running(terminal: Terminal) -> None:
    findings = json.loads(terminal.umbrella("doctor", "--json").stdout)
    assert {finding["check"]: finding["level"] for finding in findings if finding["advice"]} == {}
    names = [finding["check"] for finding in findings]
    assert names[0] == "settings"
    assert names[-1] == "completion"
    assert "no daemon is running" in terminal.umbrella("status", status=1).stderr


def test_the_doctor_names_what_is_wrong_and_what_to_do(terminal: Terminal) -> None:
    terminal.script(fail="the script is torn")
    report = terminal.umbrella("doctor", status=1).stdout
    assert "ok    settings" in report
    assert "fail  completion" in report
    assert "the script is torn" in report
    assert "→" in report
