"""One request from text to text: prompt, generation that stops as soon as it may, clean-up.

Runs in the engine thread. Knows nothing of queues, sockets or other requests.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from umbrella_daemon.resident.explanation import explanation
from umbrella_daemon.resident.generation import Generation
from umbrella_daemon.resident.job import Job
from umbrella_daemon.resident.judge import Ending, bounds_of, conclude
from umbrella_daemon.resident.postprocess import Shown, postprocess
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.resident.writer import MARGIN_TOKENS, Writer
from umbrella_daemon.resident.written import Written
from umbrella_daemon.settings import Settings
from umbrella_daemon.wire import Alternative, Completed, Reason
from umbrella_engine.errors import Cancelled
from umbrella_engine.interface import Engine
from umbrella_engine.stats import Stats

MAX_CANDIDATES: Final = 10
PROBED: Final = 8  # beginnings of answers, of which several may begin alike


class Completer:
    """Completes with one engine."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine = engine
        self._settings = settings

    def complete(self, job: Job) -> Completed:
        """Answer `job`; whatever the engine raises besides `Cancelled` is passed on."""
        request = job.request
        stats = Stats(verified=[] if request.explain else None)
        stats.ms["queue"] = (time.perf_counter() - job.received) * 1e3
        with stats.stage("prompt"):
            writer = self._writer(job)
        try:
            if job.probes:
                job.beginnings += writer.beginnings(PROBED)
                return job.silence(Reason.EMPTY, "", stats)
            with stats.stage("generate"):
                first = writer.write(stats)
            job.steps = explanation(stats, self.engine.tokenizer)
            job.confidence = first.probability
            job.written.append(first)
            with stats.stage("postprocess"):
                outcome = conclude(request, Ending(first.text, first.probability, first.doubted))
            if not isinstance(outcome, Shown):
                return job.silence(outcome.reason, outcome.detail, stats)
            if request.candidates < 2:
                return job.shown(outcome.text, outcome.replace_after, stats)
            with stats.stage("alternatives"):
                alternatives = _alternatives(job, writer, first, outcome.text)
        except Cancelled:
            return job.silence(job.stopped or Reason.CANCELLED, "", stats)
        return job.shown(outcome.text, outcome.replace_after, stats, alternatives)

    def advance(self, generation: Generation, give_way: Callable[[], bool]) -> bool:
        """Take the next step of `generation`; see `Generation.advance`."""
        return generation.advance(self.engine, give_way)

    def _writer(self, job: Job) -> Writer:
        request, settings = job.request, self._settings
        bounds = bounds_of(request, settings.completion)
        most = max(1, self.engine.info.context_tokens // 2)
        bounds = replace(bounds, max_tokens=min(bounds.max_tokens, most))
        room = self.engine.info.context_tokens - bounds.max_tokens - MARGIN_TOKENS
        prompt = build_prompt(request, self.engine.tokenizer, settings.prompt, room)
        job.layout = prompt.layout
        return Writer(self.engine, job, prompt, bounds)


def _alternatives(job: Job, writer: Writer, first: Written, text: str) -> tuple[Alternative, ...]:
    """Give answers besides `text` that a person can tell from it and from each other."""
    request = job.request
    wanted = min(request.candidates, MAX_CANDIDATES) - 1
    found: list[Alternative] = []
    seen = {_visible(text)}
    for other in writer.others(first, attempts=2 * wanted):
        job.written.append(other)
        outcome = postprocess(request, other.text)
        if isinstance(outcome, Shown) and _visible(outcome.text) not in seen:
            seen.add(_visible(outcome.text))
            found.append(Alternative(outcome.text, outcome.replace_after))
            if len(found) == wanted:
                break
    return tuple(found)


def _visible(text: str) -> str:
    return "".join(text.split())
