"""The daemon's counters in Prometheus' text format, by the names that llama-server gives them."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from umbrella_daemon.wire import Status

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "llamacpp:"


class StatusCollector(Collector):
    """Gives one state of the daemon."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Give every counter."""
        sums, status = self._status.totals, self._status
        for name, text, value in (
            ("prompt_tokens", "Prompt tokens read, those of the cache not counted",
             sums.prompt_tokens),
            ("prompt_tokens_cached", "Prompt tokens that the cache held", sums.cached_tokens),
            ("prompt_seconds", "Seconds spent reading prompts", sums.prompt_ms / 1e3),
            ("tokens_predicted", "Tokens written", sums.completion_tokens),
            ("tokens_predicted_seconds", "Seconds spent writing", sums.generate_ms / 1e3),
            ("n_decode", "Forward passes of the target that settled tokens", sums.steps),
            ("spec_decode_num_draft_tokens", "Draft tokens offered", sums.drafted_tokens),
            ("spec_decode_num_accepted_tokens", "Draft tokens kept", sums.accepted_tokens),
            ("completions", "Requests of editors", status.requests),
            ("generations", "Generations: chats and requests over HTTP", status.generations),
        ):  # fmt: skip
            yield CounterMetricFamily(PREFIX + name, text, value=value)
        for name, text, value in (
            ("prompt_tokens_seconds", "Prompt tokens read a second",
             _rate(sums.prompt_tokens, sums.prompt_ms)),
            ("predicted_tokens_seconds", "Tokens written a second",
             _rate(sums.completion_tokens, sums.generate_ms)),
            ("requests_processing", "Generations under way", status.generating),
            ("requests_deferred", "Requests that wait", status.waiting),
        ):  # fmt: skip
            yield GaugeMetricFamily(PREFIX + name, text, value=value)


def exposition(status: Status) -> bytes:
    """Write the counters of a state."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(status))
    return generate_latest(registry)


def _rate(tokens: int, ms: float) -> float:
    return tokens / ms * 1e3 if ms > 0 else 0.0
