"""What transformers runs but trees cannot use is refused when it is loaded, by name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.engine.tiny import load_tiny, save_family
from umbrella_engine import hf_config
from umbrella_engine.errors import UnsupportedModel
from umbrella_engine.hf_attention import Lanes
from umbrella_engine.hf_model import HFDecoder
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.self_test import self_test


def test_code_with_attention_of_its_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_family("hf-codegen", tmp_path)
    with pytest.raises(UnsupportedModel, match=r"CodeGenForCausalLM.*computes attention by itself"):
        load_tiny(tmp_path)
    # even if transformers declared otherwise, the tokens would tell
    monkeypatch.setattr(transformers.CodeGenForCausalLM, "_supports_attention_backend", True)
    with pytest.raises(UnsupportedModel, match=r"CodeGenForCausalLM.*Choose a model of another"):
        load_tiny(tmp_path)


def test_recurrent_layers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_family("hf-qwen3_next", tmp_path)
    with pytest.raises(UnsupportedModel, match=r"Qwen3NextForCausalLM.*layers of linear_attention"):
        load_tiny(tmp_path)
    monkeypatch.setattr(hf_config, "LAYER_TYPES", {"full_attention", "linear_attention"})
    with pytest.raises(UnsupportedModel, match=r"Qwen3NextForCausalLM.*Choose a model of another"):
        load_tiny(tmp_path)


aim, update, forward, compact = Lanes.aim, Lanes.update, HFDecoder.forward, KVCache.compact


def causal(self: Lanes, lane: int, start: int, tail: torch.Tensor) -> None:
    n, n_tail = tail.shape
    aim(self, lane, start, torch.ones_like(tail).tril(n_tail - n))


def positions_by_slot(
    self: HFDecoder, ids: Any, positions: Any, lane: int, start: int, tail: Any, first_row: int
) -> Any:
    positions = torch.arange(start, start + len(ids))
    return forward(self, ids, positions, lane, start, tail, first_row)


def keeps_the_wrong_slots(self: KVCache, lane: int, slots: Sequence[int], start: int) -> None:
    compact(self, lane, [slot - 1 for slot in slots], start)


BROKEN: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "nodes see their neighbours": (Lanes, "aim", causal),
    "positions count slots": (HFDecoder, "forward", positions_by_slot),
    "the kept path is another": (KVCache, "compact", keeps_the_wrong_slots),
}


@pytest.mark.parametrize("family", ["hf-phi3", "hf-gpt_oss", "hf-deepseek_v2"])
def test_the_self_test_notices(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_family(family, tmp_path)
    decoder = load_tiny(tmp_path).decoder
    assert isinstance(decoder, HFDecoder)
    for place, name, broken in BROKEN.values():
        with monkeypatch.context() as patched:
            patched.setattr(place, name, broken)
            with pytest.raises(UnsupportedModel, match="other logits for a tree"):
                self_test(decoder)
    self_test(decoder)


def test_a_window_that_the_code_ignores_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_family("hf-phi3", tmp_path)
    monkeypatch.setattr(hf_config, "_windows", lambda _text: (12, 12))
    with pytest.raises(UnsupportedModel, match=r"layer 0 of Phi3.* over 10 tokens.* says 12"):
        load_tiny(tmp_path)


def test_layers_of_another_shape_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_family("hf-phi3", tmp_path)
    monkeypatch.setattr(hf_config, "_cached_shape", lambda _text: (1, 8, 8))
    with pytest.raises(UnsupportedModel, match=r"\(2, 8\).* the cache has room for \[\(1, 8\)"):
        load_tiny(tmp_path)
