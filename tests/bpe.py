"""Small real tokenizers, trained here on this repository's own source."""

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers

from umbrella_engine.tokenizer import HFTokenizer, load_tokenizer

ROOT: Final = Path(__file__).parent.parent
FIM_TOKENS: Final = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>")
CHAT_TOKENS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>")
_QWEN_SPLIT: Final = (  # joins a line break to the punctuation before it
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_VOCABULARY: Final = 3000


@cache
def sources() -> list[str]:
    """Texts of this repository's own modules, the same in every run."""
    return [path.read_text() for path in sorted((ROOT / "engine").rglob("*.py"))]


@cache
def spec(kind: str) -> str:
    """Give the `tokenizer.json` of "fim" (like Qwen), "plain" (like GPT-2) or "marked" (Llama)."""
    return {"fim": _fim_spec, "plain": _plain_spec, "marked": _marked_spec}[kind]()


@cache
def trained(kind: str) -> HFTokenizer:
    """Load the tokenizer `kind` from a folder that lives as long as the tests."""
    folder = Path(tempfile.mkdtemp(prefix="umbrella-bpe-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write(folder, kind)


def write(
    folder: Path,
    kind: str = "plain",
    change: Callable[[dict[str, Any]], object] = lambda spec: None,
    **configs: dict[str, Any],
) -> HFTokenizer:
    """Put a tokenizer, changed, and configs (without ".json") into `folder` and load it."""
    content = json.loads(spec(kind))
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    for name, config in configs.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    return load_tokenizer(folder)


def add_tokens(content: dict[str, Any], *spellings: str, special: bool = True) -> None:
    """Append added tokens to a `tokenizer.json`."""
    used = {*content["model"]["vocab"].values(), *(t["id"] for t in content["added_tokens"])}
    for token, spelling in enumerate(spellings, max(used) + 1):
        entry = {"id": token, "content": spelling, "special": special, "normalized": False}
        off = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        content["added_tokens"].append(entry | off)


def _byte_level(pre_tokenizer: pre_tokenizers.PreTokenizer, special: tuple[str, ...]) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(token, special=True) for token in special],
        show_progress=False,
    )
    tokenizer.train_from_iterator(sources(), trainer)
    text: str = tokenizer.to_str()
    return text


def _plain_spec() -> str:
    return _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), CHAT_TOKENS)


def _fim_spec() -> str:
    split = pre_tokenizers.Split(Regex(_QWEN_SPLIT), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    text = _byte_level(pre_tokenizers.Sequence([split, level]), (*CHAT_TOKENS, *FIM_TOKENS))
    return json.dumps(json.loads(text) | {"normalizer": {"type": "NFC"}})


def _marked_spec() -> str:
    """Spaces are marks, one is put in front, unknown characters fall back to bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    control = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=control + [f"<0x{byte:02X}>" for byte in range(256)],
        show_progress=False,
    )
    tokenizer.train_from_iterator(sources(), trainer)
    content = json.loads(tokenizer.to_str())
    mark = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    content["model"] |= {"byte_fallback": True, "unk_token": "<unk>"}
    content |= {
        "added_tokens": [t for t in content["added_tokens"] if t["content"] in control],
        "pre_tokenizer": None,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "Prepend", "prepend": "▁"}, mark],
        },
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
    }
    return json.dumps(content)
