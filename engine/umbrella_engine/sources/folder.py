"""What a model folder in plain Hugging Face layout consists of."""

import fnmatch
import json
from pathlib import Path
from typing import Final

INDEX: Final = "model.safetensors.index.json"
WEIGHTS: Final = "model*.safetensors"  # other names are the same weights in another layout
NEEDED: Final = ("config.json", "tokenizer.json")
WANTED: Final = (
    *NEEDED,
    INDEX,
    WEIGHTS,
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)


def wanted(name: str) -> bool:
    """Whether a file of a repository belongs into the folder."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in WANTED)


def missing_from(folder: Path) -> str:
    """Name what `folder` lacks of a model; "" where it is complete."""
    for name in NEEDED:
        if not (folder / name).is_file():
            return name
    if not (folder / INDEX).is_file():
        return "" if any(folder.glob("*.safetensors")) else "*.safetensors"
    try:
        shards = set(json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        return f"a readable {INDEX}"
    return next((name for name in sorted(shards) if not (folder / name).is_file()), "")
