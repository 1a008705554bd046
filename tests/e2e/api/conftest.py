"""One server for all tests that ask it and change nothing."""

from collections.abc import Iterator

import pytest

from tests.e2e.api.server import Server, serving

TURN = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}assistant:"
SCRIPT = {
    "answers": [
        {"ends_with": "def ad", "text": "d(a, b):\n    return a + b"},
        {"ends_with": "user: hiassistant:", "text": "Hello, you. How are you?"},
        {"ends_with": "€", "text": "🙂🙂"},
        {"ends_with": "much", "text": "x" * 4000},
        {"ends_with": "lines", "text": "a\n  b\nc"},
    ],
    "default": "scripted",
    "fim": True,
    "chat_template": TURN,
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("api"), SCRIPT) as server:
        yield server
