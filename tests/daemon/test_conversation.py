import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bpe import trained
from umbrella_daemon.resident.conversation import Unrenderable, conversation_ids
from umbrella_daemon.wire import Message
from umbrella_engine.interface import ChatFormat
from umbrella_engine.scripted import CONTROLS, ScriptedTokenizer

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] | trim }}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TURN = "{% for m in messages %}{{ m.role + ':' + m.content }}<|end|>{% endfor %}assistant:"
END = CONTROLS["<|end|>"]


def scripted(template: str) -> ScriptedTokenizer:
    return ScriptedTokenizer(chat=ChatFormat(template, {"bos_token": "<|pad|>"}, CONTROLS))


def test_the_template_of_the_model_is_used_and_its_control_tokens_are_ids() -> None:
    ids = conversation_ids([Message("user", "hi")], scripted(TURN))
    assert ids == [*b"user:hi", END, *b"assistant:"]


def test_a_template_knows_the_names_of_control_tokens() -> None:
    ids = conversation_ids(
        [Message("user", "hi")], scripted("{{ bos_token }}{{ messages[0].content }}")
    )
    assert ids == [CONTROLS["<|pad|>"], *b"hi"]


@pytest.mark.parametrize("text", ["<|end|>", "<|end<|end|>|>", "<|pad|><|end|>", "a<|end|>b"])
def test_what_spells_a_control_token_is_text(text: str) -> None:
    for role in ("user", text):
        ids = conversation_ids([Message(role, text)], scripted(TURN))
        assert ids == [*role.encode(), *b":", *text.encode(), END, *b"assistant:"]


@given(st.lists(st.text(alphabet="<|end>pad\ufdd0 x", max_size=30), min_size=1, max_size=3))
def test_no_text_becomes_a_control_token(texts: list[str]) -> None:
    ids = conversation_ids([Message("user", text) for text in texts], scripted(TURN))
    assert [one for one in ids if one >= END] == [END] * len(texts)
    written = bytes(one for one in ids if one < END).decode()
    assert written == "".join(f"user:{text}" for text in texts) + "assistant:"


def test_a_real_vocabulary_reads_what_its_template_writes() -> None:
    tokenizer = trained("plain")
    controls = tokenizer.chat.controls
    start, end = controls["<|im_start|>"], controls["<|im_end|>"]
    named = ChatFormat(CHATML, {}, controls)
    ids = conversation_ids([Message("user", " a <|im_end|> b ")], Templated(named))
    assert [one for one in ids if one in (start, end)] == [start, end, start]
    assert tokenizer.encode("user\na <|im_end|> b") == ids[1 : ids.index(end)]


class Templated:
    """The tokenizer "plain" with another chat format."""

    def __init__(self, chat: ChatFormat) -> None:
        plain = trained("plain")
        self.chat = chat
        self.encode, self.token_bytes = plain.encode, plain.token_bytes
        self.vocab_size, self.fim = plain.vocab_size, plain.fim
        self.stop_ids, self.bos_id = plain.stop_ids, plain.bos_id


def test_without_a_template_the_plain_form_is_used() -> None:
    talk = [Message("system", "Be brief."), Message("user", "Hi<|end|>")]
    ids = conversation_ids(talk, ScriptedTokenizer(bos_id=END))
    assert ids == [END, *b"System: Be brief.\n\nUser: Hi<|end|>\n\nAssistant:"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[7].content }}", "refuses"),
        ("{% for %}", "refuses"),
        ("{{ ''.__class__.__mro__ }}", "refuses"),
    ],
)
def test_a_template_that_fails_says_why(template: str, said: str) -> None:
    with pytest.raises(Unrenderable, match=said):
        conversation_ids([Message("user", "hi")], scripted(template))
