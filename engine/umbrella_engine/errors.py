"""Errors of the engine.

EngineError
├── Cancelled            the caller asked to stop; nothing is wrong
├── ModelMismatch        target and draft do not speak the same vocabulary
├── UnsupportedModel     the architecture or file format is not one the engine runs
├── DoesNotFit           the models need more memory than there is
├── WeightsError         weights cannot be obtained, read or stored
└── ContextOverflow      the prompt is longer than a cache lane

Every message says what happened, what was kept and what to do next.
"""


class EngineError(Exception):
    """Base of everything the engine raises on purpose."""


class Cancelled(EngineError):
    """The request was cancelled; keys and values computed so far stay cached."""


class ModelMismatch(EngineError):
    """Target and draft cannot be used together."""


class UnsupportedModel(EngineError):
    """The model is of a family or format that the engine does not run."""


class DoesNotFit(EngineError):
    """The models need more memory than the device has free."""

    def __init__(self, message: str, free: int) -> None:
        """`free`: bytes that were free."""
        super().__init__(message)
        self.free = free


class WeightsError(EngineError):
    """Weights could not be fetched, verified, converted or stored."""


class ContextOverflow(EngineError):
    """The prompt plus the tokens asked for do not fit into a cache lane."""
