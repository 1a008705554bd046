"""One request from text to text: prompt, generation that stops as soon as it may, clean-up.

Runs in the engine thread. Knows nothing of queues, sockets or other requests.
"""

import time
from collections.abc import Generator
from typing import Final

from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.postprocess import Shown, postprocess
from umbrella_daemon.resident.prompt import Prompt, build_prompt
from umbrella_daemon.resident.stopping import Stopping
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Complete, Completed, Reason
from umbrella_engine.errors import Cancelled
from umbrella_engine.interface import Engine, Limits
from umbrella_engine.stats import Stats
from umbrella_engine.tokenizer import TextStream

MARGIN_TOKENS: Final = 64  # kept free for what token healing makes the answer repeat


class Completer:
    """Completes with one engine."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self._settings = settings

    def complete(self, job: Job) -> Completed:
        """Answer `job`; whatever the engine raises besides `Cancelled` is passed on."""
        request = job.request
        stats = Stats()
        stats.ms["queue"] = (time.perf_counter() - job.received) * 1e3
        max_tokens = self._max_tokens(request)
        with stats.stage("prompt"):
            room = self.engine.info.context_tokens - max_tokens - MARGIN_TOKENS
            prompt = build_prompt(request, self.engine.tokenizer, self._settings.prompt, room)
        try:
            with stats.stage("generate"):
                text = self._generate(job, prompt, max_tokens, stats)
        except Cancelled:
            return job.silence(job.stopped or Reason.CANCELLED, "", stats)
        with stats.stage("postprocess"):
            outcome = postprocess(request, text)
        if isinstance(outcome, Shown):
            return job.shown(outcome.text, outcome.replace_after, stats)
        return job.silence(outcome.reason, outcome.detail, stats)

    def _max_tokens(self, request: Complete) -> int:
        wanted = request.max_tokens or self._settings.completion.max_tokens
        return max(1, min(wanted, self.engine.info.context_tokens // 2))

    def _generate(self, job: Job, prompt: Prompt, max_tokens: int, stats: Stats) -> str:
        tokenizer = self.engine.tokenizer
        stream = TextStream(tokenizer, prompt.owed)
        lines = job.request.max_lines or self._settings.completion.max_lines
        stopping = Stopping(job.request, max(1, lines))
        repeated = len(tokenizer.encode(prompt.owed.decode(errors="ignore")))
        limits = Limits(max_tokens + min(repeated, MARGIN_TOKENS), tokenizer.stop_ids)
        steps = self.engine.generate(
            prompt.ids, limits, job.cancelled, owed=prompt.owed, stats=stats
        )
        text = ""
        try:
            for step in steps:
                text = stream.push(step.tokens)
                if (stopped := stopping.update(text)) is not None:
                    return stopped
            return stopping.finish(text)
        finally:
            if isinstance(steps, Generator):  # ends the engine's work on it now
                steps.close()
