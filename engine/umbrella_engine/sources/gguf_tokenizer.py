"""A GGUF file's vocabulary as `tokenizer.json`, split before merging as the model was trained.

A GGUF names its pre-tokenizer and leaves its rules to the reader; a reader that does not know the
name and goes on gives other tokens than the model learned, most of all for indented numbers. Here
an unknown name is refused, and each known one is probed after it was built. The rules are those of
llama.cpp (src/llama-vocab.cpp).
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, processors
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Sequence, Split

from umbrella_engine.errors import UnsupportedModel

CONTROL, USER_DEFINED, UNUSED = 3, 4, 5  # token types, see gguf.TokenType
QWEN2: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3: Final = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
# Ends of text or of a turn, in the order in which vocabularies of the known families have them.
ENDS: Final = (
    "<|endoftext|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
)
ROUND_TRIP: Final = "def f(x):\n\treturn [x*2 for _ in 'ä漢🙂']  # 100%\r\n"


def _gpt2() -> PreTokenizer:
    return ByteLevel(add_prefix_space=False, use_regex=True)


def _smollm() -> PreTokenizer:
    return Sequence([Digits(individual_digits=True), _gpt2()])


def _by(pattern: str) -> Callable[[], PreTokenizer]:
    return lambda: Sequence(
        [
            Split(Regex(pattern), behavior="isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


PROBE: Final = "x =  1234"
ONE_BY_ONE: Final = ["1", "2", "3", "4"]
# tokenizer.ggml.pre → how text is split, and how PROBE must come out of it
PRE_TOKENIZERS: Final[Mapping[str, tuple[Callable[[], PreTokenizer], list[str]]]] = {
    "gpt-2": (_gpt2, ["x", "Ġ=", "Ġ", "Ġ1234"]),
    "smollm": (_smollm, ["x", "Ġ=", "ĠĠ", *ONE_BY_ONE]),
    "qwen2": (_by(QWEN2), ["x", "Ġ=", "Ġ", "Ġ", *ONE_BY_ONE]),
    "llama-bpe": (_by(LLAMA3), ["x", "Ġ=", "Ġ", "Ġ", "123", "4"]),
}


def build_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """Build the tokenizer that a GGUF's metadata describes. Raises UnsupportedModel."""
    kind = metadata.get("tokenizer.ggml.model")
    pre = str(metadata.get("tokenizer.ggml.pre", "default"))
    if kind != "gpt2" or pre not in PRE_TOKENIZERS:
        raise UnsupportedModel(
            f"its tokenizer is {kind}/{pre}; imported are gpt2/{', gpt2/'.join(PRE_TOKENIZERS)}, "
            "and another would give wrong tokens. Name a folder with the model's safetensors and "
            "tokenizer.json instead"
        )
    types = metadata["tokenizer.ggml.token_type"]
    tokens = metadata["tokenizer.ggml.tokens"]
    # unused ones only fill up the embedding; the original vocabulary does not have them
    vocabulary = {token: index for index, token in enumerate(tokens) if types[index] != UNUSED}
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    make, _ = PRE_TOKENIZERS[pre]
    try:
        model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=pre == "llama-bpe")
    except Exception as error:  # the library raises no narrower one
        raise UnsupportedModel(f"its vocabulary and merges do not fit together: {error}") from error
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = make()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = _start(metadata, tokens)
    for type_, special in ((CONTROL, True), (USER_DEFINED, False)):
        tokenizer.add_tokens(
            [
                AddedToken(token, normalized=False, special=special)
                for index, token in enumerate(tokens)
                if types[index] == type_
            ]
        )
    return tokenizer


def save_tokenizer(metadata: Mapping[str, Any], folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and generation_config.json into `folder`.

    Raises UnsupportedModel, also where the tokenizer read back does not split text as it should.
    """
    path = folder / "tokenizer.json"
    build_tokenizer(metadata).save(str(path), pretty=False)
    check(Tokenizer.from_file(str(path)), str(metadata["tokenizer.ggml.pre"]))
    ids = {name: _id(metadata, name) for name in ("bos", "eos", "unknown", "padding")}
    tokens = metadata["tokenizer.ggml.tokens"]
    text = {name: None if index is None else tokens[index] for name, index in ids.items()}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": text["bos"],
        "eos_token": text["eos"],
        "unk_token": text["unknown"],
        "pad_token": text["padding"],
        "add_bos_token": bool(metadata.get("tokenizer.ggml.add_bos_token", False)),
        "clean_up_tokenization_spaces": False,
        "chat_template": metadata.get("tokenizer.chat_template"),
    }
    generation = {
        "bos_token_id": ids["bos"],
        "eos_token_id": end_ids(metadata),
        "pad_token_id": ids["padding"],
    }
    for name, content in (("tokenizer_config", config), ("generation_config", generation)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2), "utf-8")


def end_ids(metadata: Mapping[str, Any]) -> list[int]:
    """Give every id that ends a text or a turn, the model's own end first."""
    tokens = metadata["tokenizer.ggml.tokens"]
    types = metadata["tokenizer.ggml.token_type"]
    named = [_id(metadata, name) for name in ("eos", "eot", "eom")]
    known = [i for i, token in enumerate(tokens) if types[i] == CONTROL and token in ENDS]
    return list(dict.fromkeys(i for i in (*named, *known) if i is not None))


def check(tokenizer: Tokenizer, pre: str) -> None:
    """Raise UnsupportedModel unless text is split by the rule `pre` and comes back whole."""
    _, wanted = PRE_TOKENIZERS[pre]
    found = [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(PROBE)]
    if found != wanted:
        raise UnsupportedModel(
            f"its tokenizer splits {PROBE!r} into {found}, and {wanted} is right for {pre}"
        )
    ids = tokenizer.encode(ROUND_TRIP, add_special_tokens=False).ids
    if tokenizer.decode(ids, skip_special_tokens=False) != ROUND_TRIP:
        raise UnsupportedModel("its vocabulary does not give back every text it is given")


def _id(metadata: Mapping[str, Any], name: str) -> int | None:
    value = metadata.get(f"tokenizer.ggml.{name}_token_id")
    return None if value is None else int(value)


def _start(metadata: Mapping[str, Any], tokens: list[str]) -> processors.PostProcessor:
    """Put the start token before a text where the model wants one."""
    byte_level = processors.ByteLevel(trim_offsets=False)
    start = _id(metadata, "bos")
    if start is None or not metadata.get("tokenizer.ggml.add_bos_token", False):
        return byte_level
    template = processors.TemplateProcessing(
        single=f"{tokens[start]} $A", special_tokens=[(tokens[start], start)]
    )
    return processors.Sequence([byte_level, template])
