"""What is tried for attention, what is refused and what is taken: with torch's kernels on a CPU."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.engine.tiny import save_family
from umbrella_engine.attention import choice, libraries
from umbrella_engine.attention.choice import Trial, choose_for_prompts, fastest, said, try_out
from umbrella_engine.attention.libraries import TorchFlash
from umbrella_engine.attention.reference import ReferenceAttention
from umbrella_engine.config import AttentionSetting
from umbrella_engine.errors import EngineError

CPU = torch.device("cpu")
OURS: tuple[AttentionSetting, ...] = ("own", "torch")


@dataclass(frozen=True, slots=True)
class Small:
    n_heads: int = 4
    n_kv_heads: int = 2
    head_dim: int = 16
    scale: float = 0.25


class Right(TorchFlash):
    name = "right"


class Wrong(TorchFlash):
    name = "wrong"

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        return super().causal(queries, keys, values, 2 * scale)


class Failing(TorchFlash):
    name = "failing"

    def causal(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        raise RuntimeError("no kernel image is available\nfor this device")


class Absent(TorchFlash):
    name = "absent"

    def __init__(self) -> None:
        raise ImportError("No module named 'flash_attn'", name="flash_attn")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "CHUNK", 24)


def test_only_what_is_equal_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "LIBRARIES", (Wrong, Failing, Absent, Right))
    op, tried = choose_for_prompts("flash-attn", Small(), torch.bfloat16, CPU)
    assert op.name == "right"
    found = {trial.name: trial for trial in tried}
    assert found["right"].milliseconds is not None
    assert found["wrong"].reason.startswith("gives other results (relative distance")
    assert found["failing"].reason == "fails here (RuntimeError: no kernel image is available)"
    assert found["absent"].reason == "not installed"

    op, tried = choose_for_prompts("auto", Small(), torch.bfloat16, CPU)
    assert op.name in {"torch", "right"}
    assert [trial.name for trial in tried] == ["torch", "wrong", "failing", "right", "absent"]


def test_a_library_that_cannot_be_used_is_an_error_with_reasons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libraries, "LIBRARIES", (Wrong, Absent))
    with pytest.raises(EngineError, match=r'"flash-attn" cannot.*wrong gives other.*pip install'):
        choose_for_prompts("flash-attn", Small(), torch.bfloat16, CPU)
    with pytest.raises(EngineError, match="16-bit numbers only"):
        choose_for_prompts("flash-attn", Small(), torch.float32, CPU)


def test_nothing_is_timed_where_there_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "LIBRARIES", (Absent,))
    monkeypatch.setattr(choice, "try_out", None)
    op, tried = choose_for_prompts("auto", Small(), torch.bfloat16, CPU)
    assert (op.name, tried) == ("torch", [Trial("absent", None, "not installed")])
    assert said(op.name, tried) == "torch (absent not installed)"
    for setting in OURS:
        op, tried = choose_for_prompts(setting, Small(), torch.float32, CPU)
        assert (op.name, tried) == ("torch", [])


def test_the_fastest_is_taken_and_the_first_of_equals() -> None:
    a, b, c = Trial("a", 0.2), Trial("b", 0.1), Trial("c", 0.1)
    assert fastest([a, b, c, Trial("d", None, "absent")]) is b
    assert fastest([]) is None
    assert str(try_out("one", lambda: torch.ones(3), torch.ones(3))).startswith("one 0.0")


@pytest.mark.parametrize(("n", "length"), [(1, 1), (20, 20), (7, 50)])
def test_prompts_through_torch_equal_the_reference(n: int, length: int) -> None:
    generator = torch.Generator().manual_seed(1)
    queries = torch.randn(6, n, 16, generator=generator)
    keys, values = torch.randn(2, 2, length, 16, generator=generator)
    reference = ReferenceAttention(3, torch.float32)
    mask = reference.prepare(torch.ones(n, n, dtype=torch.bool).tril(), length)
    expected = reference(queries, keys, values, mask, 0.3)
    assert torch.allclose(TorchFlash().causal(queries, keys, values, 0.3), expected, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("setting", ["auto", "own", "torch", "flash-attn"])
def test_every_setting_gives_the_same_model(setting: AttentionSetting, tmp_path: Path) -> None:
    """In 16 bits, prompt and tree; a library that is not here is skipped by its own error."""
    from tests.engine.cuda.test_fused import distance, random_tail
    from umbrella_engine.cuda.decoder import FusedDecoder
    from umbrella_engine.families import load_decoder, read_config
    from umbrella_engine.kv_cache import KVCache

    device, dtype = torch.device("cuda"), torch.bfloat16
    save_family("qwen2", tmp_path, hidden_size=256, num_attention_heads=4)
    config = read_config(tmp_path)
    found = []
    settings: tuple[AttentionSetting, ...] = ("own", setting)
    for each in settings:
        cache = KVCache(config, 3, 2200, dtype, device)
        told: list[str] = []
        try:
            decoder = load_decoder(
                tmp_path,
                config,
                cache,
                dtype,
                device,
                attention=each,
                tell=told.append,
            )
        except EngineError as error:
            pytest.skip(str(error))
        assert isinstance(decoder, FusedDecoder)
        assert told[0].startswith("attention: prompts through")
        generator = torch.Generator().manual_seed(2)
        ids = torch.randint(0, config.vocab, (1500,), generator=generator)
        causal = torch.ones(1500, 1500, dtype=torch.bool).tril()
        decoder.forward(ids, torch.arange(1500), 1, 0, causal, 1500)
        for n in (1, 7, 40):
            tail = random_tail(n, n, generator)
            positions = 1500 + tail.sum(1) - 1
            found.append(decoder.forward(ids[:n], positions, 1, 1500, tail, 0).clone())
        decoder.forward(ids[:3], torch.arange(3), 2, 0, causal[:3, :3], 0)  # no prefix at all
        found.append(decoder.logits[:3].clone())
    for ours, theirs in zip(found[:4], found[4:], strict=True):
        assert distance(theirs, ours) < 3e-2
