"""The script of a `ScriptedEngine`, as a JSON file: what it answers and how it loads.

{"answers": [{"ends_with": "def ad", "text": "d(a, b):"}], "default": "pass", "step_ms": 20,
 "phases": [{"phase": "downloading", "message": "fetching", "done": 43, "total": 100}]}
"""

import time
from dataclasses import replace
from pathlib import Path

import msgspec

from umbrella_engine.errors import WeightsError
from umbrella_engine.interface import ChatFormat, Progress, Report
from umbrella_engine.scripted import CONTROLS, FIM, INFO, ScriptedEngine, ScriptedTokenizer


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`text` where the text before the cursor ends with `ends_with`."""

    ends_with: str
    text: str
    others: list[str] = []  # for who asks for several; seen where they begin with other bytes


class LoadPhase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One advance to report while loading; see `interface.Progress`."""

    phase: str
    message: str
    done: int = 0
    total: int = 0


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a scripted engine does."""

    answers: list[Answer] = []  # the first that fits
    default: str = "scripted"  # where none fits; "" for nothing
    tokens_per_step: int = 4  # one token is one byte
    step_ms: float = 0.0  # what one forward pass takes
    fim: bool = False  # whether the vocabulary has fill-in-the-middle tokens
    load_ms: float = 0.0  # what loading takes, spread over `phases`
    phases: list[LoadPhase] = []
    context_tokens: int = INFO.context_tokens  # longest prompt + answer
    logprob: float = 0.0  # natural logarithm of every token's probability
    chat_template: str = ""  # Jinja source; "<|end|>" is a control token of the vocabulary
    fail: str = ""  # loading ends with this message instead of an engine

    def answer(self, text: str) -> str:
        """Give the answer for `text` before the cursor."""
        return self._fitting(text).text

    def others(self, text: str) -> list[str]:
        """Give what else could be answered, best first."""
        return self._fitting(text).others

    def load(self, report: Report) -> ScriptedEngine:
        """Go through the phases and give the engine; raises WeightsError where told to fail."""
        phases = self.phases or [LoadPhase("loading", "loading the script")]
        for phase in phases:
            report(Progress(phase.phase, phase.message, phase.done, phase.total))
            time.sleep(self.load_ms / len(phases) / 1e3)
        if self.fail:
            raise WeightsError(self.fail)
        chat = ChatFormat(self.chat_template, controls=CONTROLS)
        tokenizer = ScriptedTokenizer(FIM if self.fim else None, chat=chat)
        return ScriptedEngine(
            self.answer,
            self.tokens_per_step,
            self.step_ms,
            tokenizer,
            replace(INFO, context_tokens=self.context_tokens),
            others=self.others,
            logprob=self.logprob,
        )

    def _fitting(self, text: str) -> Answer:
        fitting = (one for one in self.answers if text.endswith(one.ends_with))
        return next(fitting, Answer("", self.default))


def read_script(path: Path) -> Script:
    """Read a script; raises WeightsError naming the file and what is wrong in it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except OSError as error:
        raise WeightsError(f"the script {path} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise WeightsError(f"the script {path} is not one: {error}") from None
