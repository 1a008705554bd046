"""What can be wrong with a backend, in sentences for the person who runs it.

EngineError
├── BackendDown          it cannot be used now; asked again later it may well answer
└── BackendRefused       it answers, but not to this request
"""

from umbrella_engine.errors import EngineError


class BackendDown(EngineError):
    """Nothing can be had from the backend now; the daemon asks again by itself.

    `status` is HTTP's, 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class BackendRefused(EngineError):
    """The backend does not take this one request; others may be fine. `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
