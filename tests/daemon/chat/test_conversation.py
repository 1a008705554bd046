import json
from pathlib import Path

import pytest

from umbrella_daemon.chat.conversation import Conversation, ConversationError
from umbrella_daemon.wire import Message


@pytest.fixture
def talk() -> Conversation:
    talk = Conversation("Be brief.")
    for number in range(3):
        talk.ask(f"question {number}")
        talk.answer(f"answer {number}")
    return talk


def test_the_system_prompt_comes_first_where_there_is_one(talk: Conversation) -> None:
    assert talk.messages[0] == Message("system", "Be brief.")
    assert Conversation("", talk.turns).messages[0] == Message("user", "question 0")


def test_the_oldest_question_goes_with_its_answer_and_the_newest_never(talk: Conversation) -> None:
    talk.ask("newest")
    assert [talk.drop_oldest() for _ in range(4)] == [True, True, True, False]
    assert talk.messages == (Message("system", "Be brief."), Message("user", "newest"))


def test_the_last_question_is_taken_back_with_its_answer(talk: Conversation) -> None:
    assert talk.take_back() == "question 2"
    assert talk.turns[-1] == Message("assistant", "answer 1")
    assert Conversation().take_back() == ""


def test_what_is_saved_can_be_loaded(talk: Conversation, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text("older")
    talk.save(path)
    assert Conversation.load(path) == talk
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(path.read_text())["messages"][1] == {
        "role": "user",
        "content": "question 0",
    }


def test_markdown_is_for_reading(talk: Conversation, tmp_path: Path) -> None:
    path = tmp_path / "talk.md"
    talk.save(path)
    assert path.read_text().startswith("## System\n\nBe brief.\n\n## You\n\nquestion 0\n")
    with pytest.raises(ConversationError, match=r"what ends in \.json can be loaded"):
        Conversation.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"messages": [{"role": "cook", "content": ""}]}', b"\xff\xfe"]
)
def test_what_is_no_conversation_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_bytes(content)
    with pytest.raises(ConversationError, match=r"is no saved conversation.*as it was"):
        Conversation.load(path)


def test_places_that_cannot_be_used_are_named(talk: Conversation, tmp_path: Path) -> None:
    with pytest.raises(ConversationError, match=r"cannot be written .*try another place"):
        talk.save(tmp_path / "nowhere" / "talk.json")
    with pytest.raises(ConversationError, match="cannot be read"):
        Conversation.load(tmp_path / "nothing.json")
