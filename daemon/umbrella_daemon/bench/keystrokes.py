"""`umbrella bench keystrokes`: what each key of a session gets, how soon, at what cost.

Contenders meet the same trace at the same pace, one after the other, each with the machine to
itself.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from msgspec.structs import replace

from umbrella_daemon.bench.llama_server import LlamaServer
from umbrella_daemon.bench.llama_vim import LlamaVim
from umbrella_daemon.bench.lsp_editor import LspEditor
from umbrella_daemon.bench.replay import OVERTAKEN, Advanced, Contender, Key, Pace, Work, replay
from umbrella_daemon.bench.result import Figure, Subject
from umbrella_daemon.bench.writing import percentile
from umbrella_daemon.settings import Settings
from umbrella_daemon.typing_trace import Trace

# sources of answers that needed no work of the model after the key
AT_HAND: Final = ("store", "prefetch", "cache")
COUNTERS: Final = (  # equal in two runs at the pace "answers"
    "keys", "shown", "store", "prefetch", "cache", "engine", "overtaken", "not_asked", "requests",
    "prompt_tokens", "prefilled", "generated", "steps", "accepted", "ahead_prefilled",
    "ahead_generated", "taken_back",
)  # fmt: skip


def figures(name: str, keys: Sequence[Key], work: Work) -> dict[str, Figure]:
    """Give a row.

    Times are of keys that were answered, with text or without, and of overtaken ones, which waited
    in vain that long. For keys `not_asked` about there was nothing to wait for.
    """
    answered = [key for key in keys if key.answer.source]
    sources = Counter(key.answer.source for key in answered)
    times = [key.ms for key in keys if key.answer.source or key.answer.reason == OVERTAKEN]
    asked = [key.ms for key in answered if key.answer.source not in AT_HAND]
    overtaken = sum(key.answer.reason == OVERTAKEN for key in keys)
    count = max(1, len(keys))
    return {
        "name": name,
        "keys": len(keys),
        "shown": sum(bool(key.answer.text) for key in keys),
        **{source: sources[source] for source in (*AT_HAND, "engine")},
        "overtaken": overtaken,
        "not_asked": len(keys) - len(answered) - overtaken,
        "at_hand": round(sum(sources[one] for one in AT_HAND) / count, 4),
        "key_ms_p50": percentile(times, 50),
        "key_ms_p90": percentile(times, 90),
        "key_ms_p99": percentile(times, 99),
        "key_ms_mean": round(fmean(times), 3) if times else None,
        "asked_ms_p50": percentile(asked, 50),
        "requests": work.requests,
        "prompt_tokens": work.prompt_tokens,
        "prefilled": work.prefilled,
        "prefilled_per_key": round(work.prefilled / count, 2),
        "all_prefilled_per_key": round((work.prefilled + work.ahead_prefilled) / count, 2),
        "reused": round(1 - work.prefilled / work.prompt_tokens, 4) if work.prompt_tokens else None,
        "generated": work.generated,
        "steps": work.steps,
        "accepted": work.accepted,
        "ahead_prefilled": work.ahead_prefilled,
        "ahead_generated": work.ahead_generated,
        "taken_back": work.taken_back,
        "wasted_ms": round(work.wasted_ms, 1),
        "free_ms_p50": percentile(work.free_ms, 50),
        "free_ms_p90": percentile(work.free_ms, 90),
    }


def reasons(keys: Sequence[Key]) -> dict[str, int]:
    """Count why nothing was shown."""
    return dict(Counter(key.answer.reason for key in keys if key.answer.reason))


def series(keys: Sequence[Key]) -> dict[str, list[float]]:
    """Give what a picture is drawn from: times in order, and whether a key was answered."""
    return {
        "key_ms": [round(key.ms, 3) for key in keys],
        "answered": [float(bool(key.answer.source)) for key in keys],
    }


@dataclass
class Played:
    """A session as one contender met it."""

    name: str
    keys: list[Key]
    work: Work

    @property
    def row(self) -> dict[str, Figure]:
        """Give its figures."""
        return figures(self.name, self.keys, self.work)


@dataclass(frozen=True)
class Session:
    """One trace at one pace."""

    trace: Trace
    pace: Pace
    advanced: Advanced

    def ours(self, settings: Settings) -> tuple[Played, Subject]:
        """Play it to our language server; raises ProbeError, DaemonError.

        At the pace of answers a suggestion has all the time it wants: where a clock ends it, two
        runs would differ.
        """
        if self.pace == "answers":
            settings = replace(settings, completion=replace(settings.completion, max_ms=0))
        return asyncio.run(self._ours(settings))

    async def _ours(self, settings: Settings) -> tuple[Played, Subject]:
        with tempfile.TemporaryDirectory(prefix="umbrella-") as folder:
            editor = await LspEditor.start(settings, Path(folder))
            try:
                return await self._play(editor), await editor.subject()
            finally:
                await editor.close()

    def llama(self, server: LlamaServer, *, infills: bool) -> list[Played]:
        """Play it to llama.vim's way with llama-server, and to the server asked at each key."""
        played = []
        for keeps in (True, False):
            with server.running() as address:
                played.append(asyncio.run(self._llama(address, infills=infills, keeps=keeps)))
        return played

    async def _llama(self, address: str, *, infills: bool, keeps: bool) -> Played:
        editor = LlamaVim(address, infills=infills, keeps=keeps)
        try:
            return await self._play(editor)
        finally:
            await editor.close()

    async def _play(self, contender: Contender) -> Played:
        keys = await replay(self.trace.events, contender, self.pace, self.advanced)
        await contender.explain(keys)
        return Played(contender.name, keys, await contender.work())
