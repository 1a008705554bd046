"""`umbrella chat` as a person meets it: a real terminal, a real daemon, canned answers."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.editor import isolated
from tests.pty_terminal import PtyTerminal, pty_terminal

pytestmark = pytest.mark.e2e

COMMAND = str(Path(sys.executable).with_name("umbrella"))
SECONDS = 60
ANSWER = "Some *text*.\n\n```python\ndef f():\n    return 1\n```\n\nThe end."
PROMPT = "»"


class Home:
    """A user's home, and what is run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = isolated(path)
        self.script(default=ANSWER)

    def script(self, **content: Any) -> None:
        """Say what the next daemon's engine does."""
        (self.path / "script.json").write_text(json.dumps(content))

    def umbrella(
        self, *arguments: str, piped: str | bytes = "", status: int = 0
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in a pipe, to its end with `status`."""
        done = subprocess.run(
            [COMMAND, *arguments],
            env=self.environment,
            input=piped.encode() if isinstance(piped, str) else piped,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            cwd=self.path,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert b"Traceback" not in done.stdout + done.stderr
        return done

    @property
    def log(self) -> str:
        """What the daemons of this home have logged."""
        return (self.path / "state" / "umbrella" / "log" / "daemon.log").read_text()

    def status(self) -> dict[str, Any]:
        """Ask the daemon how it is."""
        return dict(json.loads(self.umbrella("status", "--json").stdout))


Open = Callable[..., PtyTerminal]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.umbrella("stop")


@pytest.fixture
def chat(home: Home) -> Iterator[Open]:
    """Opens chats, ready to be typed into."""
    with ExitStack() as stack:

        def open_(*arguments: str, rows: int = 40) -> PtyTerminal:
            terminal = stack.enter_context(
                pty_terminal([COMMAND, "chat", *arguments], home.environment, home.path, rows=rows)
            )
            terminal.wait_for(PROMPT)
            return terminal

        yield open_


def ask(terminal: PtyTerminal, text: str, shows: str = "The end.") -> None:
    """Send a line, and wait until what it shows is there and the next prompt below it."""
    echo = f"{PROMPT} {text[:50]}"
    before = terminal.text.count(echo)
    terminal.type(f"{text}\r")

    def answered(screen: str) -> bool:
        below = screen.rpartition(echo)[2]
        return screen.count(echo) > before and shows in below.partition(PROMPT)[0]

    terminal.wait_for(answered)
    terminal.wait_for(lambda screen: PROMPT in screen.rpartition(echo)[2])


def test_an_answer_is_streamed_as_markdown(home: Home, chat: Open) -> None:
    terminal = chat()
    assert "scripted on cpu" in terminal.text
    ask(terminal, "hello")
    assert "Some text.\n\npython\ndef f():\n    return 1\n\nThe end." in terminal.text
    terminal.wait_for("accepted/step · context ")
    assert b"\x1b[94" in terminal.raw  # a keyword's colour
    terminal.type("\x04")
    assert terminal.ended() == 0


def test_an_answer_is_there_before_it_is_whole_and_ctrl_c_ends_it_alone(
    home: Home, chat: Open
) -> None:
    home.script(default="word " * 4000, step_ms=10)
    terminal = chat()
    terminal.type("hello\r")
    terminal.wait_for("word word")
    terminal.type("\x03")
    terminal.wait_for("(stopped)")
    terminal.type("/save talk.json\r")
    terminal.wait_for("2 messages written")
    kept = json.loads((home.path / "talk.json").read_text())["messages"]
    assert kept[1]["content"].startswith("word word")
    status = home.status()
    assert status["generating"] == 0
    assert status["generations"] == 1
    assert re.search(r"generation for umbrella chat.*: cancelled;", home.log)


def test_what_was_said_is_not_computed_again(home: Home, chat: Open) -> None:
    terminal = chat()
    prompts = []
    for question in ("a first question", "and a second"):
        ask(terminal, question)
        ask(terminal, "/stats", "all answers")
        line = next(line for line in reversed(terminal.lines) if line.startswith("prompt "))
        prompts.append([int(number) for number in re.findall(r"\d+", line)])
    (first, _, _), (second, cached, computed) = prompts
    assert cached >= first - 1
    assert cached + computed == second


def test_several_lines_are_one_message(home: Home, chat: Open) -> None:
    terminal = chat()
    terminal.type("one\\\rtwo\x1b\rthree\x1b[200~four\nfive\x1b[201~\r")
    terminal.wait_for("The end.")
    ask(terminal, "/save talk.json", "2 messages written")
    messages = json.loads((home.path / "talk.json").read_text())["messages"]
    assert messages[0]["content"] == "one\ntwo\nthreefour\nfive"


def test_commands(home: Home, chat: Open) -> None:
    terminal = chat("--system", "Be brief.")
    ask(terminal, "/system", "System prompt: Be brief.")
    ask(terminal, "hello")
    ask(terminal, "/retry")
    ask(terminal, "/save talk.json", "3 messages written to talk.json")
    ask(terminal, "/reset", "begins anew; the system prompt stays")
    ask(terminal, "/retry", "nothing to answer again")
    ask(terminal, "/load talk.json", "goes on from 3 messages")
    ask(terminal, "/load nowhere.json", "cannot be read")
    ask(terminal, "/model", "scripted on cpu (bytes)")
    ask(terminal, "/model nonsense", "'nonsense' is not known")
    ask(terminal, "/nonsense", "There is no command /nonsense")
    ask(terminal, "/help", "Ctrl-D")
    terminal.type("/quit\r")
    assert terminal.ended() == 0


def test_the_oldest_turns_leave_a_full_context_visibly(home: Home, chat: Open) -> None:
    home.script(default="An answer. The end.", context_tokens=400)
    terminal = chat("--system", "Be brief.", "--max-tokens", "40")
    for number in range(2):
        ask(terminal, f"question {number} " + "x" * 90)
    ask(terminal, "question 2 " + "x" * 90, "is full: the oldest")
    ask(terminal, "/save talk.json", "messages written")
    messages = json.loads((home.path / "talk.json").read_text())["messages"]
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert not any("question 0" in one["content"] for one in messages)
    assert "question 2" in messages[-2]["content"]
    ask(terminal, "y" * 500, "shorten it")
    ask(terminal, "question 3")


def test_what_is_typed_comes_back_in_the_next_chat_unless_switched_off(
    home: Home, chat: Open
) -> None:
    first = chat()
    ask(first, "remember me")
    first.type("\x04")
    assert first.ended() == 0
    path = home.path / "state" / "umbrella" / "chat-history"
    assert path.stat().st_mode & 0o777 == 0o600
    second = chat("--no-history")
    ask(second, "forget me")
    second.type("\x04")
    assert second.ended() == 0
    assert "forget me" not in path.read_text()
    third = chat()
    third.type("\x1b[A")
    third.wait_for("» remember me")


def test_a_daemon_that_dies_breaks_one_answer_off(home: Home, chat: Open) -> None:
    home.script(default="word " * 4000, step_ms=10)
    terminal = chat()
    terminal.type("hello\r")
    terminal.wait_for("word word")
    home.umbrella("stop")
    terminal.wait_for("broke off")
    home.script(default=ANSWER)
    ask(terminal, "again")


def test_in_a_pipe_there_is_plain_text_alone(home: Home) -> None:
    done = home.umbrella("chat", "-p", "explain", piped="some text")
    assert done.stdout.decode() == ANSWER + "\n"
    assert home.umbrella("chat", piped="a question").stdout.decode() == ANSWER + "\n"
    assert home.umbrella("chat", "-p", "explain").stderr == b""


def test_a_pipe_is_asked_about_with_the_prompt_before_it(home: Home) -> None:
    home.script(answers=[{"ends_with": "explain\n\nthis\n\nAssistant:", "text": "right"}])
    assert home.umbrella("chat", "-p", "explain", piped="this\n").stdout == b"right\n"


def test_what_cannot_be_asked_is_said_on_stderr(home: Home) -> None:
    asked = home.umbrella("chat", status=2)
    strange = home.umbrella("chat", "-p", "x", piped=b"\xff", status=1)
    wrong = home.umbrella("chat", "-p", "x", "--top-p", "2", status=1)
    assert b"There is no question" in asked.stderr
    assert b"not UTF-8 text" in strange.stderr
    assert b"chat.top_p" in wrong.stderr
    assert asked.stdout + strange.stdout + wrong.stdout == b""
    assert "no daemon is running" in home.umbrella("status", status=1).stderr.decode()


def test_a_model_that_cannot_be_loaded_is_a_message(home: Home) -> None:
    home.script(fail="there is no room for the weights")
    done = home.umbrella("chat", "-p", "x", status=1)
    assert b"there is no room for the weights" in done.stderr


def test_a_cut_answer_says_so_on_stderr(home: Home) -> None:
    done = home.umbrella("chat", "-p", "x", "--max-tokens", "8")
    assert done.stdout.decode() == ANSWER[:8] + "\n"
    assert "cut after 8 tokens" in done.stderr.decode()


def test_nobody_has_to_read_to_the_end(home: Home) -> None:
    home.script(default="word\n" * 2000, step_ms=2)
    home.umbrella("start")
    line = f"{COMMAND} chat -p x | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line],
        env=home.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"word\n", b"", 141)


def test_one_question_on_a_terminal_is_drawn_and_can_be_interrupted(home: Home) -> None:
    command = [COMMAND, "chat", "-p", "hello"]
    with pty_terminal(command, home.environment, home.path) as terminal:
        assert terminal.ended() == 0
        assert "Some text." in terminal.text
    home.umbrella("stop")
    home.script(default="word " * 4000, step_ms=10)
    with pty_terminal(command, home.environment, home.path) as terminal:
        terminal.wait_for("word word")
        terminal.type("\x03")
        assert terminal.ended() == 130
        assert "Traceback" not in terminal.text
