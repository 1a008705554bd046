"""Which object computes a model: our own decoder, or transformers' module behind the same verbs.

The choice is made once, from `config.json` and the device: on a GPU our decoder goes behind fused
kernels. transformers is imported only for families that our decoder does not compute itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Union

import torch

from umbrella_engine.attention.choice import choose_for_prompts, said
from umbrella_engine.attention.flash import FlashAttention
from umbrella_engine.attention.reference import ReferenceAttention
from umbrella_engine.config import AttentionSetting
from umbrella_engine.cuda.support import reason_against
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.language_model import ForwardPass
from umbrella_engine.model import Decoder
from umbrella_engine.model_config import (
    ModelConfig,
    architecture_of,
    obstacle,
    parse_model_config,
    read_raw_config,
)
from umbrella_engine.shared_draft import (
    ReducedOutput,
    Tables,
    load_shared_weights,
    read_tables,
)
from umbrella_engine.weights import DecoderWeights, LayerDone, load_weights

if TYPE_CHECKING:
    from umbrella_engine.hf_config import HFConfig

AnyConfig = Union[ModelConfig, "HFConfig"]


def read_config(folder: Path) -> AnyConfig:
    """Read `folder/config.json`; the type of what comes back says who computes the model.

    Raises UnsupportedModel where nobody does.
    """
    raw = read_raw_config(folder)
    if not obstacle(raw):
        return parse_model_config(raw, str(folder / "config.json"))
    from umbrella_engine.hf_config import read_hf_config

    return read_hf_config(folder, architecture_of(raw))


def load_decoder(
    folder: Path,
    config: AnyConfig,
    cache: KVCache,
    dtype: torch.dtype,
    device: torch.device,
    layer_done: LayerDone = lambda _done, _total: None,
    attention: AttentionSetting = "auto",
    tell: Callable[[str], None] = lambda _message: None,
) -> ForwardPass:
    """Read the weights in `folder` and give the object that computes them over `cache`.

    `tell` gets a sentence on what was chosen. Raises EngineError where `attention` names what
    cannot be used, and as the parts do.
    """
    if isinstance(config, ModelConfig):
        weights = load_weights(folder, config, dtype, device, layer_done)
        return _decoder(config, weights, cache, dtype, device, attention, tell)
    from umbrella_engine.hf_model import load_hf_decoder
    from umbrella_engine.self_test import self_test

    decoder = load_hf_decoder(folder, config, cache, dtype, device)
    self_test(decoder)
    if device.type == "cuda":
        from umbrella_engine.hf_graphs import capture

        capture(decoder, tell)
    layer_done(config.n_layers, config.n_layers)
    return decoder


def load_shared_draft(
    folder: Path,
    config: ModelConfig,
    tables: Tables,
    cache: KVCache,
    dtype: torch.dtype,
    device: torch.device,
    layer_done: LayerDone = lambda _done, _total: None,
    attention: AttentionSetting = "auto",
    tell: Callable[[str], None] = lambda _message: None,
) -> ForwardPass:
    """Read the draft in `folder`, which works between its target's `tables`."""
    inner, weights, ids = load_shared_weights(folder, config, tables, dtype, device, layer_done)
    decoder = _decoder(inner, weights, cache, dtype, device, attention, tell)
    return decoder if len(ids) == config.vocab else ReducedOutput(decoder, ids, config.vocab)


def tables_of(decoder: ForwardPass, folder: Path, dtype: torch.dtype) -> Tables:
    """Give the tables of a target: those in memory where our own decoder computes it.

    folder: the target's. Raises UnsupportedModel where its files do not name them as Llama's do.
    """
    plain = getattr(decoder, "plain", decoder)
    if isinstance(plain, Decoder):
        return Tables(plain.weights.embedding, plain.weights.head)
    return read_tables(folder, dtype, decoder.cache.keys.device)


def _decoder(
    config: ModelConfig,
    weights: DecoderWeights,
    cache: KVCache,
    dtype: torch.dtype,
    device: torch.device,
    attention: AttentionSetting,
    tell: Callable[[str], None],
) -> ForwardPass:
    group = config.n_heads // config.n_kv_heads
    if device.type == "cpu":
        return Decoder(config, weights, cache, ReferenceAttention(group, dtype, config.window))
    op, tried = choose_for_prompts(attention, config, dtype, device)
    flash = FlashAttention(group, dtype, config.window, op)
    plain = Decoder(config, weights, cache, flash)
    prompts = f"attention: prompts through {said(op.name, tried)}"
    reason = reason_against(plain)
    if reason:
        tell(f"{prompts}; steps in plain torch, since {reason}")
        return plain
    from umbrella_engine.cuda.assemble import fuse
    from umbrella_engine.cuda.step_attention import choose_for_steps

    fused = fuse(plain)
    name, tried = choose_for_steps(fused, attention)
    tell(f"{prompts}; steps through {said(name, tried)}")
    return fused
