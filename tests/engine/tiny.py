"""Tiny random models and a tiny vocabulary: real code paths, milliseconds instead of gigabytes."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.engine.hf_families import HF_FAMILIES, REFUSED, SPECIAL, WINDOW
from umbrella_engine.families import load_decoder, read_config
from umbrella_engine.interface import ChatFormat, FimTokens
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.language_model import LanguageModel

if TYPE_CHECKING:
    from umbrella_engine.healing import Healing

torch.set_num_threads(1)  # tiny products: threads would only wait for each other

VOCAB = 61

SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,  # large enough that the argmax is not a near-tie
}

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "llama-tied-mha": {
        "model_type": "llama",
        "tie_word_embeddings": True,
        "num_key_value_heads": 4,
    },
    "llama-biases": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "llama3-rope": {
        "model_type": "llama",
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "llama-linear-rope": {
        "model_type": "llama",
        "rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    },
    "granite": {
        "model_type": "granite",
        "embedding_multiplier": 2.0,
        "residual_multiplier": 0.4,
        "attention_multiplier": 0.3,
        "logits_scaling": 0.5,
    },
    "mistral": {"model_type": "mistral", "sliding_window": None, "head_dim": 16},
    "mistral-window": {"model_type": "mistral", "sliding_window": WINDOW},
    "qwen2": {"model_type": "qwen2"},
    "qwen2-yarn": {
        "model_type": "qwen2",
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 1000000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 128,
        },
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 16},
    "starcoder2": {"model_type": "starcoder2", **SPECIAL},
    "starcoder2-window": {
        "model_type": "starcoder2",
        **SPECIAL,
        "sliding_window": WINDOW,
        "tie_word_embeddings": False,
    },
}


def save_family(name: str, folder: Path, seed: int = 0, **changes: Any) -> Any:
    """Save a random model of a family to `folder`; gives the transformers module."""
    torch.manual_seed(seed)
    settings = {**SMALL, **(FAMILIES | HF_FAMILIES | REFUSED)[name], **changes}
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = AutoModelForCausalLM.from_config(config).eval()  # type: ignore[no-untyped-call]
    for key, parameter in model.named_parameters():
        if key.endswith("bias") or "norm" in key:  # as built they are zeros and ones
            torch.nn.init.normal_(parameter, mean=float("norm" in key), std=0.3)
    model.save_pretrained(folder)
    return model


def load_tiny(
    folder: Path,
    *,
    lanes: int = 4,
    capacity: int = 512,
    chunk_tokens: int = 16,
    device: str = "cpu",
) -> LanguageModel:
    """Load a saved model behind the verbs of our decoder, in fp32."""
    config = read_config(folder)
    place, dtype = torch.device(device), torch.float32
    cache = KVCache(config, lanes, capacity, dtype, place)
    decoder = load_decoder(folder, config, cache, dtype, place)
    return LanguageModel(decoder, chunk_tokens)


class TinyTokenizer:
    """A vocabulary of short byte strings over a few letters, and three control tokens."""

    vocab_size = VOCAB
    fim = FimTokens(prefix=58, suffix=59, middle=60)
    stop_ids = frozenset({58, 59, 60})
    bos_id = None
    chat = ChatFormat()

    def __init__(self) -> None:
        rng = random.Random(7)
        words = [letter.encode() for letter in "abcd \n"]
        while len(words) < 58:
            word = "".join(rng.choice("abcd \n") for _ in range(rng.randint(2, 4))).encode()
            if word not in words:
                words.append(word)
        self.words = words

    def encode(self, text: str) -> list[int]:
        """Longest match first."""
        data, ids = text.encode(), []
        while data:
            fits = [i for i, word in enumerate(self.words) if data.startswith(word)]
            best = max(fits, key=lambda i: len(self.words[i]))
            ids.append(best)
            data = data[len(self.words[best]) :]
        return ids

    def token_bytes(self, token: int) -> bytes:
        return self.words[token] if token < len(self.words) else b""


def plain_greedy(
    next_logits: Callable[[Sequence[int]], torch.Tensor],
    ids: Sequence[int],
    max_tokens: int,
    owed: bytes,
    healing: "Healing",
) -> list[int]:
    """The slow twin of the engine: the whole text through the model for every token."""
    out: list[int] = []
    while len(out) < max_tokens:
        logits = next_logits([*ids, *out])
        if owed:
            allowed = torch.tensor(healing.allowed(owed))
            token = int(allowed[logits[allowed].argmax()])
            owed = healing.after(owed, token) or b""
        else:
            token = int(logits.argmax())
        out.append(token)
    return out
