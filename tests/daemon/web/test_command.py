import socket
import sys

import pytest
from click.testing import CliRunner

from umbrella_daemon.cli import main


def test_without_the_extra_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = CliRunner().invoke(main, ["web"])
    assert done.exit_code == 1
    assert "umbrella-lsp[web]" in done.output
    assert "(gradio not found)" in done.output


def test_a_port_that_is_taken_is_named_before_anything_is_loaded() -> None:
    pytest.importorskip("gradio", reason="the extra `web` is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["web", "--port", str(port)])
    assert done.exit_code == 1
    assert f"web.port = {port} cannot be had" in done.output
