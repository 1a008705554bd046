"""Greedy tree speculation for one person's machine: token ids in, token ids out.

Importing this package loads no torch; `umbrella_engine.load` does.
"""

from umbrella_engine.config import DraftConfig, EngineConfig, ModelSource, PairConfig, Wheel
from umbrella_engine.errors import (
    Cancelled,
    ContextOverflow,
    EngineError,
    ModelMismatch,
    UnsupportedModel,
    WeightsError,
)
from umbrella_engine.interface import (
    GREEDY,
    Engine,
    EngineInfo,
    FimTokens,
    Limits,
    Progress,
    Report,
    Sampling,
    Step,
    Tokenizer,
)
from umbrella_engine.stats import Stats

__all__ = [
    "GREEDY",
    "Cancelled",
    "ContextOverflow",
    "DraftConfig",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EngineInfo",
    "FimTokens",
    "Limits",
    "ModelMismatch",
    "ModelSource",
    "PairConfig",
    "Progress",
    "Report",
    "Sampling",
    "Stats",
    "Step",
    "Tokenizer",
    "UnsupportedModel",
    "WeightsError",
    "Wheel",
]
