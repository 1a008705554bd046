"""Counters that say how much work is done: equal on every machine, so that a loss is seen at once.

Times are not looked at. A change that makes any of these worse has to say why; one that makes them
better takes the new figures over.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import Home
from tests.engine.tiny import TinyTokenizer, load_tiny, save_family
from umbrella_daemon.bench.keystrokes import COUNTERS, Session
from umbrella_daemon.bench.ours import EngineWriter
from umbrella_daemon.bench.typist import synthesise
from umbrella_daemon.bench.writing import Account, Ask
from umbrella_daemon.settings import load_settings
from umbrella_engine.config import DraftConfig
from umbrella_engine.drafting import make_drafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.healing import Healing
from umbrella_engine.interface import EngineInfo

PROMPT = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3, 23, 8, 46, 26, 4, 33, 8, 32]
TOKENS = 48


@pytest.fixture
def engine(tmp_path: Path) -> Callable[[DraftConfig], SpeculativeEngine]:
    """Give an engine over a tiny model with fixed weights; the draft is the target again."""
    save_family("qwen2", tmp_path)

    def make(config: DraftConfig) -> SpeculativeEngine:
        target, draft = load_tiny(tmp_path), load_tiny(tmp_path)
        tokenizer = TinyTokenizer()
        healing = Healing(tokenizer)
        drafter = make_drafter(config, draft, healing, tokenizer)
        info = EngineInfo("tiny", "tiny", "tiny", "cpu", "float32", 400)
        return SpeculativeEngine(info, tokenizer, target, drafter, healing)

    return make


@pytest.mark.parametrize(
    ("config", "steps", "accepted"),
    [
        (DraftConfig(preset="none"), 48, 0),
        (DraftConfig(preset="chain"), 12, 36),
        (DraftConfig(preset="dynamic"), 24, 24),
        (DraftConfig(preset="adaptive"), 26, 22),
    ],
    ids=lambda value: value.preset if isinstance(value, DraftConfig) else None,
)
def test_forwards_and_accepted_tokens(
    engine: Callable[[DraftConfig], SpeculativeEngine],
    config: DraftConfig,
    steps: int,
    accepted: int,
) -> None:
    writer = EngineWriter("x", engine(config))
    first = writer.write(Ask(PROMPT), TOKENS)
    assert (first.steps, first.accepted) == (steps, accepted)
    assert first.prefilled == len(PROMPT)
    again = writer.write(Ask([*PROMPT, *first.tokens[:10]]), TOKENS)
    assert again.prefilled is not None
    assert again.prefilled <= 1  # what was written once is in the cache
    assert Account([first, again]).figures("x")["tokens"] == 2 * TOKENS


@pytest.mark.e2e
def test_a_session_of_typing_does_the_same_work_each_time(home: Home) -> None:
    answers = [{"ends_with": "return ", "text": "value"}, {"ends_with": "def ", "text": "main():"}]
    home.script(answers=answers, default="self.value = 1\n", fim=True)
    rows = []
    for _ in range(2):
        session = Session(synthesise(11, 40), "answers", lambda *_: None)
        played, subject = session.ours(load_settings())
        rows.append({name: int(played.row[name] or 0) for name in COUNTERS})
    assert subject.target == "scripted"
    assert rows[0] == rows[1]
    assert rows[0]["keys"] == 40
    assert rows[0]["engine"] + rows[0]["store"] + rows[0]["prefetch"] == 40
    assert rows[0]["prefilled"] < rows[0]["prompt_tokens"] / 100
