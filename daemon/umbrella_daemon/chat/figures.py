"""What an answer cost, and all answers of a conversation together."""

from dataclasses import dataclass
from typing import Final

from umbrella_daemon.wire import Usage

NOTHING: Final = Usage()


@dataclass(slots=True)
class Figures:
    """Counts of one conversation; `latest` is the answer that was written last or is."""

    context_tokens: int  # how many the model can hold
    latest: Usage = NOTHING
    answers: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
    accepted_tokens: int = 0
    generate_ms: float = 0.0

    def finish(self, usage: Usage) -> None:
        """Count an answer that is done."""
        self.latest = usage
        self.answers += 1
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.completion_tokens += usage.completion_tokens
        self.steps += usage.steps
        self.accepted_tokens += usage.accepted_tokens
        self.generate_ms += usage.generate_ms

    @property
    def footer(self) -> str:
        """The latest answer in one line."""
        usage = self.latest
        if not usage.prompt_tokens:
            return ""
        used = usage.prompt_tokens + usage.completion_tokens
        return " · ".join(
            [
                speed(usage.completion_tokens, usage.generate_ms),
                accepted(usage.accepted_tokens, usage.steps),
                f"context {used} of {self.context_tokens} tokens",
            ]
        )

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for a person."""
        usage = self.latest
        if not self.answers:
            return [("answers", "none yet")]
        return [
            (
                "latest answer",
                f"{usage.completion_tokens} tokens, "
                f"{speed(usage.completion_tokens, usage.generate_ms)}, "
                f"{accepted(usage.accepted_tokens, usage.steps)}",
            ),
            ("first token", f"after {usage.first_ms:.0f} ms"),
            (
                "prompt",
                f"{usage.prompt_tokens} tokens, {usage.cached_tokens} of them cached, "
                f"{usage.prompt_tokens - usage.cached_tokens} computed",
            ),
            (
                "context",
                f"{usage.prompt_tokens + usage.completion_tokens} of {self.context_tokens} tokens",
            ),
            (
                "all answers",
                f"{self.answers}: {self.completion_tokens} tokens, "
                f"{speed(self.completion_tokens, self.generate_ms)}, "
                f"{accepted(self.accepted_tokens, self.steps)}, "
                f"{self.cached_tokens} of {self.prompt_tokens} prompt tokens cached",
            ),
        ]


def speed(tokens: int, ms: float) -> str:
    """Say how fast text comes."""
    return f"{tokens / ms * 1e3:.1f} tokens/s" if ms > 0 else "- tokens/s"


def accepted(tokens: int, steps: int) -> str:
    """Say how many drafted tokens the target took a step."""
    return f"{tokens / steps:.2f} accepted/step" if steps else "- accepted/step"
