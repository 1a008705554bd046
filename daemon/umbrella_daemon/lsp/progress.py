"""The editor's progress bar while the daemon fetches and loads its model: one bar a stage.

Knows nothing of the daemon but its phases.
"""

import asyncio
import uuid
from typing import Final

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.progress import Progress

from umbrella_daemon.wire import Phase

STAGES: Final = {
    "downloading": "Umbrella: downloading the model",
    "converting": "Umbrella: preparing the model",
    "loading": "Umbrella: loading the model",
}


class LoadProgress:
    """Shows the latest phase; phases that come faster than the editor listens are skipped."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._latest = Phase("starting")
        self._news = asyncio.Event()

    def show(self, phase: Phase) -> None:
        """Take a new phase."""
        self._latest = phase
        self._news.set()

    async def run(self) -> None:
        """Show bars for ever, or until the editor refuses one."""
        while True:
            await self._news.wait()
            if self._latest.phase not in STAGES:
                self._news.clear()
                continue
            try:
                await self._stage(self._latest.phase)
            except JsonRpcException:
                return

    async def _stage(self, stage: str) -> None:
        token = f"umbrella-{uuid.uuid4()}"
        await self._bars.create_async(token)
        phase = self._latest
        self._bars.begin(
            token,
            types.WorkDoneProgressBegin(
                title=STAGES[stage],
                message=phase.message,
                percentage=phase.percent,
                cancellable=False,
            ),
        )
        while phase.phase == stage:
            self._news.clear()
            await self._news.wait()
            phase = self._latest
            if phase.phase == stage:
                report = types.WorkDoneProgressReport(
                    message=phase.message, percentage=phase.percent
                )
                self._bars.report(token, report)
        self._bars.end(token, types.WorkDoneProgressEnd(message=phase.message))
