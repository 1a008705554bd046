"""Text to token ids and back, byte for byte, from the tokenizer files of a model folder.

Promises: `encode` never yields a control token, whatever the text spells; the bytes of the ids join
to the bytes of the text. Knows nothing of prompts.
"""

import codecs
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from tokenizers import Tokenizer as Backend

from umbrella_engine.chat_format import read_chat_format
from umbrella_engine.errors import EngineError, WeightsError
from umbrella_engine.interface import ChatFormat, FimTokens, Tokenizer
from umbrella_engine.vocabulary import Vocabulary, read_tokenizer_file


class HFTokenizer:
    """`interface.Tokenizer` over the `tokenizers` library; built by `load_tokenizer`."""

    def __init__(
        self,
        backend: Backend,
        vocabulary: Vocabulary,
        stop_ids: frozenset[int],
        bos: int | None,
        chat: ChatFormat,
    ) -> None:
        self._backend = backend
        self._vocabulary = vocabulary
        self._stop_ids = stop_ids
        self._bos = bos
        self._fim = vocabulary.fim()
        self._chat = chat

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones included."""
        return len(self._vocabulary.pieces)

    @property
    def fim(self) -> FimTokens | None:
        """Fill-in-the-middle tokens, None where the vocabulary has none."""
        return self._fim

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end an answer: end of text, end of turn, FIM and file separators."""
        return self._stop_ids

    @property
    def bos_id(self) -> int | None:
        """Id every prompt starts with, None where the model wants none."""
        return self._bos

    @property
    def chat(self) -> ChatFormat:
        """How conversations are written for the model."""
        return self._chat

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone; text that looks like a control token is encoded as text."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def token_bytes(self, token: int) -> bytes:
        """Bytes that `token` adds to the text; empty for control tokens."""
        return self._vocabulary.pieces[token]

    def spelling(self, token: int) -> str:
        """Spell `token` as its file does, control tokens too; "" for an id without a token."""
        return self._vocabulary.spellings[token]

    def is_padding(self, token: int) -> bool:
        """Tell whether an id only fills the embedding up."""
        return self._vocabulary.is_padding(token)


def load_tokenizer(folder: Path) -> HFTokenizer:
    """Read the tokenizer of a model folder: `tokenizer.json` and the configs beside it.

    Raises WeightsError when a file is missing or broken, UnsupportedModel when the vocabulary is
    neither byte-level nor SentencePiece-like.
    """
    backend, vocabulary = read_tokenizer_file(folder / "tokenizer.json")
    return HFTokenizer(
        backend,
        vocabulary,
        _stop_ids(folder, vocabulary),
        _bos_id(folder, backend, vocabulary),
        read_chat_format(folder, _config(folder, "tokenizer_config.json"), vocabulary),
    )


def _config(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object beside the tokenizer; empty where there is none."""
    path = folder / name
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise WeightsError(
            f"{path} is not a JSON object ({error}). Nothing was changed; fetch or convert the "
            "model again."
        ) from error


def _named_token(config: dict[str, Any], name: str, vocabulary: Vocabulary) -> int | None:
    """Id of a token that a tokenizer config names by its spelling or as an added token."""
    named = config.get(name)
    spelling = named.get("content") if isinstance(named, dict) else named
    return vocabulary.ids.get(spelling) if isinstance(spelling, str) else None


def _stop_ids(folder: Path, vocabulary: Vocabulary) -> frozenset[int]:
    found = vocabulary.end_ids()
    for name in ("generation_config.json", "config.json"):
        eos = _config(folder, name).get("eos_token_id")
        found.update(e for e in (eos if isinstance(eos, list) else [eos]) if isinstance(e, int))
    named = _named_token(_config(folder, "tokenizer_config.json"), "eos_token", vocabulary)
    return frozenset(found if named is None else found | {named})


def _bos_id(folder: Path, backend: Backend, vocabulary: Vocabulary) -> int | None:
    """Id the tokenizer puts in front: what its config says, else what its template does."""
    config = _config(folder, "tokenizer_config.json")
    wanted = config.get("add_bos_token")
    if isinstance(wanted, bool):
        return _named_token(config, "bos_token", vocabulary) if wanted else None
    probe = backend.encode("a", add_special_tokens=True)
    return probe.ids[0] if probe.ids and probe.special_tokens_mask[0] else None


def vocabulary_difference(target: Tokenizer, draft: Tokenizer) -> str:
    """Say how two vocabularies disagree over the ids both have; "" when they agree.

    Ids that only one of them has are no difference: embeddings are padded beyond the vocabulary.
    """
    shared = range(min(target.vocab_size, draft.vocab_size))
    differing = [
        token
        for token, (ours, theirs) in enumerate(
            zip(map(target.token_bytes, shared), map(draft.token_bytes, shared), strict=True)
        )
        if ours != theirs or (not ours and _controls_differ(target, draft, token))
    ]
    if differing:
        examples = "; ".join(
            f"id {token} is {_show(target, token)} for the target, {_show(draft, token)} for the "
            "draft"
            for token in differing[:3]
        )
        return (
            f"{len(differing)} of {len(shared)} common ids mean different text (target has "
            f"{target.vocab_size} ids, draft {draft.vocab_size}): {examples}"
        )
    if target.fim != draft.fim:
        return f"fill-in-the-middle tokens differ: target {target.fim}, draft {draft.fim}"
    return ""


def _controls_differ(target: Tokenizer, draft: Tokenizer, token: int) -> bool:
    """Tell whether a token without text is two different control tokens."""
    if not (isinstance(target, HFTokenizer) and isinstance(draft, HFTokenizer)):
        return False
    if target.is_padding(token) or draft.is_padding(token):
        return False
    return target.spelling(token) != draft.spelling(token)


def _show(tokenizer: Tokenizer, token: int) -> str:
    text = tokenizer.token_bytes(token)
    if not text and isinstance(tokenizer, HFTokenizer):
        return repr(tokenizer.spelling(token))
    return repr(text.decode("utf-8", "backslashreplace"))


class TextStream:
    """Growing text of a growing answer; whole characters only.

    `owed` is what the answer must spell again before new text starts.
    """

    def __init__(self, tokenizer: Tokenizer, owed: bytes = b"") -> None:
        self._tokenizer = tokenizer
        self._owed = owed
        self._spelled = b""  # of the owed bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""

    @property
    def text(self) -> str:
        """All text after the owed bytes; an unfinished character at its end is held back."""
        return self._text

    def push(self, tokens: Iterable[int]) -> str:
        """Take the next tokens, give all text so far.

        Bytes that can never become a character show as U+FFFD. Raises EngineError when the answer
        does not start with the owed bytes.
        """
        data = b"".join(map(self._tokenizer.token_bytes, tokens))
        if len(self._spelled) < len(self._owed):
            data = self._pay(data)
        self._text += self._decoder.decode(data)
        return self._text

    def _pay(self, data: bytes) -> bytes:
        """Give what of `data` lies after the owed bytes."""
        spelled = self._spelled + data
        if not (spelled.startswith(self._owed) or self._owed.startswith(spelled)):
            raise EngineError(
                f"The answer starts with {spelled!r} where {self._owed!r} had to be spelled again. "
                "Nothing was shown; please report this."
            )
        self._spelled = spelled[: len(self._owed)]
        return spelled[len(self._owed) :]
