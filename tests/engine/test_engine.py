"""What the engine promises besides the law: stops, counters, errors, cancellation."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tests.engine.tiny import TinyTokenizer, load_tiny, save_family
from umbrella_engine.config import DraftConfig
from umbrella_engine.drafting import make_drafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.errors import Cancelled, ContextOverflow
from umbrella_engine.healing import Healing
from umbrella_engine.interface import EngineInfo, Limits
from umbrella_engine.stats import Stats

IDS = [int(i) for i in range(40)]


@pytest.fixture
def engine(tmp_path: Path) -> SpeculativeEngine:
    save_family("qwen2", tmp_path)
    tokenizer = TinyTokenizer()
    healing = Healing(tokenizer)
    return SpeculativeEngine(
        info=EngineInfo("tiny", "target", "draft", "cpu", "float32", 128),
        tokenizer=tokenizer,
        target=load_tiny(tmp_path),
        drafter=make_drafter(DraftConfig(preset="static"), load_tiny(tmp_path), healing, tokenizer),
        healing=healing,
    )


def answer(
    engine: SpeculativeEngine, ids: Sequence[int], limits: Limits, stats: Stats
) -> list[int]:
    steps = engine.generate(ids, limits, lambda: False, stats=stats)
    return [token for step in steps for token in step.tokens]


def test_counters_tell_what_happened(engine: SpeculativeEngine) -> None:
    stats = Stats()
    tokens = answer(engine, IDS, Limits(12), stats)
    assert len(tokens) == stats.generated_tokens == 12
    assert (stats.prompt_tokens, stats.reused_tokens, stats.prefilled_tokens) == (40, 0, 40)
    assert stats.accepted_tokens == 12 - stats.target_steps
    assert stats.target_steps <= 4  # the draft is the target itself
    assert sum(stats.drafted_by.values()) == stats.drafted_tokens
    assert stats.accepted_by["model"] > 0
    assert set(stats.ms) == {"prefill", "draft", "verify"}

    again = Stats()
    assert answer(engine, [*IDS, 7], Limits(12), again) != []
    assert (again.reused_tokens, again.prefilled_tokens) == (40, 1)


def test_a_stop_token_ends_the_answer(engine: SpeculativeEngine) -> None:
    tokens = answer(engine, IDS, Limits(12), Stats())
    stop = tokens[5]
    stopped = answer(engine, IDS, Limits(12, frozenset({stop})), Stats())
    assert stopped == tokens[: tokens.index(stop)]


def test_max_tokens_is_exact(engine: SpeculativeEngine) -> None:
    tokens = answer(engine, IDS, Limits(12), Stats())
    for limit in (1, 2, 5):
        assert answer(engine, IDS, Limits(limit), Stats()) == tokens[:limit]


def test_what_does_not_fit_is_refused(engine: SpeculativeEngine) -> None:
    with pytest.raises(ContextOverflow, match="120 tokens and 12 new ones do not fit into 128"):
        answer(engine, IDS * 3, Limits(12), Stats())
    with pytest.raises(ContextOverflow, match="empty prompt"):
        answer(engine, [], Limits(12), Stats())


@pytest.mark.parametrize("owed", [b"", b"ab", b"d c\n"])
@pytest.mark.parametrize("drafted", [True, False])
def test_log_probabilities_are_the_targets_own(tmp_path: Path, owed: bytes, drafted: bool) -> None:
    twin = save_family("qwen2", tmp_path)
    tokenizer = TinyTokenizer()
    healing = Healing(tokenizer)
    engine = SpeculativeEngine(
        info=EngineInfo("tiny", "target", "draft", "cpu", "float32", 128),
        tokenizer=tokenizer,
        target=load_tiny(tmp_path),
        drafter=make_drafter(
            DraftConfig(model_depth=4 if drafted else 0), load_tiny(tmp_path), healing, tokenizer
        ),
        healing=healing,
    )
    steps = list(engine.generate(IDS, Limits(12), lambda: False, owed=owed))
    tokens = [token for step in steps for token in step.tokens]
    found = [one for step in steps for one in step.logprobs]
    assert len(found) == len(tokens) == 12
    for place, token in enumerate(tokens):
        with torch.no_grad():
            logits = twin(torch.tensor([[*IDS, *tokens[:place]]])).logits[0, -1]
        if owed:
            allowed = torch.tensor(healing.allowed(owed))
            masked = torch.full_like(logits, -torch.inf)
            masked[allowed] = logits[allowed]
            logits, owed = masked, healing.after(owed, token) or b""
        expected = float(logits.log_softmax(dim=-1)[token])
        assert found[place] == pytest.approx(expected, abs=1e-4)


def test_cancelling_stops_before_the_next_forward(engine: SpeculativeEngine) -> None:
    forwards: list[int] = []
    decoder = engine.target.decoder
    forward = decoder.forward

    def counted(ids: object, *rest: object, **named: object) -> object:
        forwards.append(1)
        return forward(ids, *rest, **named)  # type: ignore[arg-type]

    decoder.forward = counted  # type: ignore[method-assign, assignment]
    with pytest.raises(Cancelled):
        list(engine.generate(IDS, Limits(12), lambda: len(forwards) >= 1))
    assert len(forwards) == 1  # a prefill chunk of 16 of the 40 tokens

    stats = Stats()
    answer(engine, IDS, Limits(1), stats)
    assert stats.reused_tokens == 16  # what was computed is kept


def test_every_verified_tree_is_told_to_whoever_asks(engine: SpeculativeEngine) -> None:
    stats = Stats(verified=[])
    assert stats.verified is not None
    tokens = answer(engine, IDS, Limits(12), stats)
    spelled = [
        token
        for one in stats.verified
        for token in [*(one.tree.tokens[node] for node in one.path), one.bonus]
    ]
    assert spelled == tokens
    assert sum(len(one.tree) for one in stats.verified) == stats.drafted_tokens
    assert len(stats.verified) == stats.target_steps
    assert Stats().verified is None
