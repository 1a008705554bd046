import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoTokenizer

from tests.engine.sources.tiny_gguf import MERGES, SPECIAL, TOKENS, TYPES, random_model, write_gguf
from umbrella_engine.errors import UnsupportedModel
from umbrella_engine.sources.gguf_tokenizer import build_tokenizer, check, end_ids, save_tokenizer


def metadata(pre: str = "smollm", **changes: Any) -> dict[str, Any]:
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": [int(kind) for kind in TYPES],
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.bos_token_id": 1,
    } | {f"tokenizer.ggml.{key}": value for key, value in changes.items()}


SMOLLM = build_tokenizer(metadata())
QWEN = build_tokenizer(metadata("qwen2"))


def tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    return tokenizer.encode(text, add_special_tokens=False).tokens


def test_smollm_splits_digits_although_a_merge_would_join_them() -> None:
    assert tokens(SMOLLM, "    12") == ["ĠĠ", "ĠĠ", "1", "2"]
    assert tokens(build_tokenizer(metadata("gpt-2")), "    12") == ["ĠĠ", "Ġ", "Ġ", "12"]


def test_a_tokenizer_without_the_fix_is_noticed() -> None:
    wrong = build_tokenizer(metadata())
    wrong.pre_tokenizer = ByteLevel(add_prefix_space=False)  # as transformers 5.23 builds it
    with pytest.raises(UnsupportedModel, match="splits 'x =  1234' into"):
        check(wrong, "smollm")


def test_merges_without_their_tokens_are_refused() -> None:
    broken = metadata(merges=["x yz"])
    with pytest.raises(UnsupportedModel, match="do not fit together"):
        build_tokenizer(broken)


def test_a_vocabulary_with_holes_is_noticed() -> None:
    holes = ["never" if token == "Ġ" else token for token in TOKENS]
    broken = metadata(tokens=holes, merges=[])
    with pytest.raises(UnsupportedModel, match="does not give back every text"):
        check(build_tokenizer(broken), "smollm")


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    for tokenizer in (SMOLLM, QWEN):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = write_gguf(tmp_path_factory.mktemp("gguf") / "m.gguf", random_model("qwen2"))
    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def test_qwen2_gives_the_ids_of_transformers(theirs: Any) -> None:
    @given(st.text(alphabet=st.sampled_from("def xyzÄ漢\t\n\r 1234567'._(")))
    def compare(text: str) -> None:
        ours = QWEN.encode(text, add_special_tokens=False).ids
        assert ours == theirs.encode(text, add_special_tokens=False)

    compare()


def test_control_tokens_keep_their_ids_and_unused_ones_are_left_out() -> None:
    vocabulary = SMOLLM.get_vocab()
    assert [vocabulary[token] for token in SPECIAL] == [0, 1, 2, 3]
    assert "[PAD0]" not in vocabulary
    assert tokens(SMOLLM, "a<|fim_prefix|>def") == ["a", "<|fim_prefix|>", "def"]


def test_what_is_saved_is_enough_by_itself(tmp_path: Path) -> None:
    save_tokenizer(metadata(eot_token_id=3), tmp_path)
    alone = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokens(alone, "def f12") == tokens(SMOLLM, "def f12")
    generation = json.loads((tmp_path / "generation_config.json").read_text())
    assert generation == {"bos_token_id": 1, "eos_token_id": [2, 3, 0], "pad_token_id": None}
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["eos_token"] == "<|im_end|>"
    assert config["pad_token"] is None
    assert config["add_bos_token"] is False


def test_the_models_own_end_comes_first() -> None:
    assert end_ids(metadata()) == [2, 0]
    assert end_ids(metadata(eos_token_id=0)) == [0, 2]


def test_a_start_token_is_put_first_where_the_model_wants_one() -> None:
    wants = build_tokenizer(metadata("llama-bpe", add_bos_token=True))
    assert wants.encode("def").tokens == ["<|im_start|>", "def"]
    assert SMOLLM.encode("def").tokens == ["def"]


@pytest.mark.parametrize(("model", "pre"), [("llama", "default"), ("gpt2", "deepseek-coder")])
def test_an_unknown_way_to_split_is_refused(model: str, pre: str) -> None:
    with pytest.raises(UnsupportedModel, match=f"its tokenizer is {model}/{pre}; imported are"):
        build_tokenizer(metadata(pre, model=model))
