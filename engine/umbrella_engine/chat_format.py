"""How a model folder says that conversations are written: its template and its control tokens.

Nothing is rendered here, and a template runs nothing but in the sandbox of whoever renders it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import ChatFormat
from umbrella_engine.vocabulary import Vocabulary

FILE: Final = "chat_template.jinja"  # goes before what tokenizer_config.json says
NAMED: Final = ("bos_token", "eos_token", "unk_token", "pad_token")  # known to templates


def read_chat_format(folder: Path, config: Mapping[str, Any], vocabulary: Vocabulary) -> ChatFormat:
    """Read the chat format of a model; `config` is its tokenizer_config.json.

    Raises WeightsError where the template's file cannot be read.
    """
    names = {name: spelling for name in NAMED if (spelling := _spelling(config.get(name)))}
    path = folder / FILE
    try:
        template = path.read_text("utf-8") if path.exists() else _template(config)
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"the chat template {path} cannot be read ({error}). Nothing was changed; fetch the "
            "model again"
        ) from error
    return ChatFormat(template, names, vocabulary.controls)


def _template(config: Mapping[str, Any]) -> str:
    """Give the only template of a config, or that of several which is named "default"."""
    found = config.get("chat_template")
    if isinstance(found, list):
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else ""


def _spelling(token: object) -> str:
    """Spell a token that a config names, as text or as an added token."""
    named = token.get("content") if isinstance(token, dict) else token
    return named if isinstance(named, str) else ""
