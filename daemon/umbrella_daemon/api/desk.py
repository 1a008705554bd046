"""What every route is given: the daemon, the settings, and what is resident."""

from dataclasses import dataclass

from fastapi import Request

from umbrella_daemon.api.errors import STATUS_OF_FAULT, ApiError
from umbrella_daemon.api.flow import Flow
from umbrella_daemon.client import SETTLED, DaemonClient
from umbrella_daemon.settings import ApiSettings
from umbrella_daemon.wire import Fault, Model, Status, Text, Tokens


@dataclass(slots=True)
class Desk:
    """The one of a running server."""

    daemon: DaemonClient
    settings: ApiSettings

    @property
    def flow(self) -> Flow:
        """The way to the engine."""
        return Flow(self.daemon, self.settings.stall_seconds)

    async def status(self) -> Status:
        """Give the daemon's state; raises ApiError while no model is there, and DaemonError."""
        status = await self.daemon.status(0)
        if status.phase.phase == "ready":
            return status
        settled = status.phase.phase in SETTLED
        fault = Fault.FAILED if settled else Fault.LOADING
        message = status.phase.message if settled else f"Loading model: {status.phase.message}"
        raise ApiError(STATUS_OF_FAULT[fault], message)

    async def model(self) -> Model:
        """Give what is resident; raises as `status` does."""
        return (await self.status()).model

    async def tokens(self, text: str, *, controls: bool) -> Tokens:
        """Give the ids of a text; raises ApiError and DaemonError."""
        found = await self.daemon.tokenize(text, controls=controls)
        if found.error:
            raise ApiError(STATUS_OF_FAULT.get(found.error, 500), found.detail)
        return found

    async def text(self, ids: list[int]) -> Text:
        """Give the text of ids; raises ApiError and DaemonError."""
        found = await self.daemon.detokenize(ids)
        if found.error:
            raise ApiError(STATUS_OF_FAULT.get(found.error, 500), found.detail)
        return found


def desk_of(request: Request) -> Desk:
    """Give the desk of the server that a request came to."""
    desk: Desk = request.app.state.desk
    return desk
