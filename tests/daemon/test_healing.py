"""Healing of real prompts is exact: greedy decoding among the tokens that keep the promise.

A real byte-pair vocabulary, tiny random weights, every layout, cuts at any character of real code;
the twin runs the whole text through transformers for each token.
"""

import random
from pathlib import Path

import pytest
import torch

from tests.bpe import sources, trained
from tests.engine.tiny import load_tiny, plain_greedy, save_family
from umbrella_daemon.resident.prompt import build_prompt
from umbrella_daemon.settings import PromptSettings
from umbrella_daemon.wire import Complete
from umbrella_engine.config import DraftConfig
from umbrella_engine.drafting import make_drafter
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.healing import Healing
from umbrella_engine.interface import EngineInfo, Limits
from umbrella_engine.tokenizer import TextStream

CUTS = 2
LAYOUTS = [("fim", name) for name in ("anchored", "psm", "spm", "spm-anchored", "sp")]


@pytest.mark.parametrize("healing_mode", ["identifier", "token"])
@pytest.mark.parametrize(("kind", "layout"), [("plain", "plain"), ("marked", "plain"), *LAYOUTS])
def test_a_healed_answer_is_the_greedy_one_under_the_constraint(
    kind: str, layout: str, healing_mode: str, tmp_path: Path
) -> None:
    tokenizer = trained(kind)
    twin = save_family("qwen2", tmp_path, vocab_size=tokenizer.vocab_size)
    healing = Healing(tokenizer)
    engine = SpeculativeEngine(
        info=EngineInfo("tiny", "target", "draft", "cpu", "float32", 256),
        tokenizer=tokenizer,
        target=load_tiny(tmp_path),
        drafter=make_drafter(DraftConfig(), load_tiny(tmp_path), healing, tokenizer),
        healing=healing,
    )
    rng = random.Random(layout + kind + healing_mode)
    text = "".join(sources()) + "\n    größe = '変数 🌍'  # ende\n"
    settings = PromptSettings(
        prefix_tokens=40, suffix_tokens=12, layout=layout, healing=healing_mode  # type: ignore[arg-type]
    )  # fmt: skip

    def next_logits(ids: object) -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = twin(torch.tensor([ids])).logits[0, -1]
        return logits

    places = [rng.randrange(200, len(text) - 200) for _ in range(CUTS)]
    for place in [*places, len(text) - rng.randrange(2, 25)]:
        request = Complete(1, "d", 1, "python", "a.py", text[:place], text[place:])
        prompt = build_prompt(request, tokenizer, settings, 120)
        steps = engine.generate(prompt.ids, Limits(6), lambda: False, owed=prompt.owed)
        tokens = [token for step in steps for token in step.tokens]
        assert tokens == plain_greedy(next_logits, prompt.ids, 6, prompt.owed, healing)
        assert TextStream(tokenizer, prompt.owed).push(tokens) is not None
        spelled = b"".join(map(tokenizer.token_bytes, tokens))
        assert spelled.startswith(prompt.owed) or prompt.owed.startswith(spelled)
