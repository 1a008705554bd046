from typing import Any

import pytest

from umbrella_daemon.wire import Message

pytest.importorskip("gradio", reason="the extra `web` is not installed")

from umbrella_daemon.web.chat_tab import conversation_of


def test_what_the_page_holds_becomes_a_conversation() -> None:
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "plain"},
        {"role": "assistant", "content": [{"type": "text", "text": "in "}, {"text": "parts"}]},
        {"role": "user", "content": {"text": "one part"}},
        {"role": "assistant", "content": ""},
    ]
    assert conversation_of(" Be brief. ", history).messages == (
        Message("system", "Be brief."),
        Message("user", "plain"),
        Message("assistant", "in parts"),
        Message("user", "one part"),
    )
    assert conversation_of("", []).messages == ()
