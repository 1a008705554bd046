"""llama.vim's way: what it sends, keeps and waits for, against a server of our own making."""

import asyncio
import json
import random
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from umbrella_daemon.bench.llama_server import LlamaServer
from umbrella_daemon.bench.llama_vim import LlamaVim, ahead, around
from umbrella_daemon.bench.result import BenchError
from umbrella_daemon.bench.ring import Ring, similarity
from umbrella_daemon.bench.text import Text
from umbrella_daemon.typing_trace import Change, Open

TEXT = "import os\n\ndef main():\n    x = \n    return x\n"


class Server:
    """Answers `/infill` with a fixed continuation of what was typed; notes the bodies."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.content = "os.getcwd()"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append({"path": self.path, **body})
                timings = {"prompt_n": 7, "cache_n": 93, "predicted_n": 5}
                answer = json.dumps({"content": outer.content, "timings": timings}).encode()
                self.send_response(200 if outer.content != "broken" else 500)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def play(server: Server, session: Callable[[LlamaVim], Awaitable[None]], **options: bool) -> None:
    async def run() -> None:
        editor = LlamaVim(server.address, **({"infills": True} | options))
        try:
            await editor.open(Open(0.0, "a.py", "python", TEXT))
            await asyncio.wait_for(session(editor), 20)
        finally:
            await editor.close()

    asyncio.run(run())


def test_a_request_has_the_parameters_of_the_plug_in(server: Server) -> None:
    async def session(editor: LlamaVim) -> None:
        answer = await editor.ask("a.py", (3, 8))
        assert (answer.text, answer.source) == ("os.getcwd()", "engine")

    play(server, session)
    body = server.bodies[0]
    assert body["path"] == "/infill"
    assert body["input_prefix"] == "import os\n\ndef main():\n"
    assert body["prompt"] == "    x = "
    assert body["input_suffix"] == "\n    return x\n\n"
    assert (body["n_predict"], body["n_indent"], body["t_max_predict_ms"]) == (128, 4, 250)
    assert body["samplers"] == ["top_k", "top_p", "infill"]
    assert (body["top_k"], body["top_p"], body["cache_prompt"]) == (40, 0.90, True)


def test_what_is_typed_along_a_suggestion_is_shown_without_waiting(server: Server) -> None:
    async def session(editor: LlamaVim) -> None:
        await editor.ask("a.py", (3, 8))
        await editor.settle()
        await editor.change(Change(0.0, "a.py", (3, 8, 3, 8), "os."))
        answer = await editor.ask("a.py", (3, 11))
        assert (answer.text, answer.source) == ("getcwd()", "cache")
        await editor.settle()
        work = await editor.work()
        assert work.requests == 2  # the plug-in asks again at the new place
        assert work.prefilled == 14
        assert work.prompt_tokens == 200
        assert work.ahead_prefilled == 7  # and ahead, at the end of what is shown

    play(server, session)
    assert [body["t_max_predict_ms"] for body in server.bodies] == [250, 1000, 250]
    assert server.bodies[1]["prompt"] == "    x = os.getcwd()"


def test_asked_at_each_key_nothing_is_kept(server: Server) -> None:
    async def session(editor: LlamaVim) -> None:
        for _ in range(2):
            assert (await editor.ask("a.py", (3, 8))).source == "engine"
            await editor.settle()

    play(server, session, keeps=False)
    assert len(server.bodies) == 2


def test_vocabularies_that_cannot_fill_in_are_asked_for_what_follows(server: Server) -> None:
    async def session(editor: LlamaVim) -> None:
        await editor.ask("a.py", (3, 8))

    play(server, session, infills=False)
    assert server.bodies[0]["path"] == "/completion"
    assert server.bodies[0]["prompt"] == "import os\n\ndef main():\n    x = "


def test_nothing_is_asked_with_much_text_right_of_the_cursor(server: Server) -> None:
    async def session(editor: LlamaVim) -> None:
        answer = await editor.ask("a.py", (4, 2))
        assert (answer.text, answer.source) == ("", "")

    play(server, session)
    assert server.bodies == []


def test_a_server_that_fails_is_told(server: Server) -> None:
    server.content = "broken"

    async def session(editor: LlamaVim) -> None:
        with pytest.raises(BenchError, match=r"does not answer as it should.*500"):
            await editor.ask("a.py", (3, 8))

    play(server, session)


def test_a_line_of_spaces_is_begun_anew() -> None:
    found = around(Text("a\n    \nb"), (1, 4))
    assert (found.prefix, found.middle, found.suffix, found.indent) == ("a\n", "", "\nb\n", 0)


def test_asking_ahead_stands_behind_what_is_shown() -> None:
    text = Text(TEXT)
    one = ahead(text, (3, 8), ("1",), 4)
    assert (one.prefix, one.middle) == ("import os\n\ndef main():\n", "    x = 1")
    two = ahead(text, (3, 8), ("1", "    y = 2"), 4)
    assert (two.prefix, two.middle) == ("import os\n\ndef main():\n    x = 1\n", "    y = 2")
    assert two.suffix == "\n    return x\n\n"


def test_an_answer_is_kept_also_for_when_its_first_lines_are_out_of_reach() -> None:
    found = around(Text("a\nb\nc\nd\ne"), (4, 1))
    assert len(found.hashes()) == 4
    later = around(Text("b\nc\nd\ne"), (3, 1))
    assert later.hashes()[0] == found.hashes()[1]


def test_a_ring_holds_pieces_unlike_each_other() -> None:
    ring = Ring(random.Random(1))
    long = [f"line {number} of {number * 7}" for number in range(200)]
    ring.pick("a.py", long)
    ring.pick("a.py", ["too", "short"])
    assert ring.extra() == []  # it is read when nothing is typed
    assert ring.update()
    assert not ring.update()
    (piece,) = ring.extra()
    assert piece["filename"] == "a.py"
    assert piece["text"].count("\n") == 33
    ring.drop_like(piece["text"].split("\n"))
    assert ring.extra() == []
    assert similarity(("a b",), ("a c",)) == 0.5


def test_a_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    with (
        pytest.raises(BenchError, match="cannot be started: No such file"),
        LlamaServer(tmp_path / "none", model).running(),
    ):
        pass
    script = tmp_path / "server"
    script.write_text(f"#!{sys.executable}\nraise SystemExit(3)\n")
    script.chmod(0o755)
    with (
        pytest.raises(BenchError, match="ended with status 3 before it was ready"),
        LlamaServer(script, model).running(),
    ):
        pass
