"""Decoders of well-known sizes with random weights on a GPU, and the clocks to time them by."""

import dataclasses
import multiprocessing
from collections.abc import Callable, Sequence
from statistics import median

import torch

from umbrella_engine.attention.flash import FlashAttention
from umbrella_engine.cuda.assemble import fuse
from umbrella_engine.cuda.decoder import FusedDecoder
from umbrella_engine.cuda.graphs import Graph
from umbrella_engine.cuda.tiles import PRESETS
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.model import Decoder
from umbrella_engine.model_config import ModelConfig
from umbrella_engine.weights import DecoderWeights, Reader, pack_weights

GPU = torch.device("cuda")
DTYPE = torch.bfloat16


def _config(layers: int, hidden: int, heads: int, kv: int, head: int, inner: int) -> ModelConfig:
    sizes = (layers, hidden, heads, kv, head, inner, 152064 if hidden > 2048 else 151936)
    return ModelConfig("Qwen2ForCausalLM", *sizes, 1e-6, 32768, 1e6, None, False, {})


SHAPES = {  # of Qwen2.5
    "0.5B": _config(24, 896, 14, 2, 64, 4864),
    "1.5B": _config(28, 1536, 12, 2, 128, 8960),
    "7B": _config(28, 3584, 28, 4, 128, 18944),
    "32B": _config(64, 5120, 40, 8, 128, 27648),
}


def weight_bytes(config: ModelConfig) -> int:
    """Bytes that a step must read: all projections and the head, not the embedding."""
    attention = (2 * config.n_heads + 2 * config.n_kv_heads) * config.head_dim
    layer = (attention + 3 * config.intermediate) * config.hidden
    return DTYPE.itemsize * (config.n_layers * layer + config.vocab * config.hidden)


def random_fused(config: ModelConfig, capacity: int, lanes: int = 2) -> FusedDecoder:
    """A fused decoder whose weights and cache are noise."""
    return fused(config, pack_weights(config, noise(config)), capacity, lanes)


def fused(
    config: ModelConfig, weights: DecoderWeights, capacity: int, lanes: int = 2
) -> FusedDecoder:
    """A fused decoder over given weights, its cache full of noise."""
    cache = KVCache(config, lanes, capacity, DTYPE, GPU)
    cache.keys.normal_()
    cache.values.normal_()
    attention = FlashAttention(config.n_heads // config.n_kv_heads, DTYPE)
    decoder = fuse(Decoder(config, weights, cache, attention))
    assert isinstance(decoder, FusedDecoder)
    return decoder


def noise(config: ModelConfig) -> Reader:
    """Give tensors by their checkpoint names."""
    queries, keys = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    shapes = {
        "q_proj": (queries, config.hidden),
        "k_proj": (keys, config.hidden),
        "v_proj": (keys, config.hidden),
        "o_proj": (config.hidden, queries),
        "gate_proj": (config.intermediate, config.hidden),
        "up_proj": (config.intermediate, config.hidden),
        "down_proj": (config.hidden, config.intermediate),
        "embed_tokens": (config.vocab, config.hidden),
        "lm_head": (config.vocab, config.hidden),
    }

    def read(name: str) -> torch.Tensor | None:
        part, kind = name.split(".")[-2:]
        if part in {"q_norm", "k_norm"} or (
            kind == "bias" and part not in {"q_proj", "k_proj", "v_proj"}
        ):
            return None
        shape = shapes.get(part, (config.hidden,))
        shape = shape[:1] if kind == "bias" else shape
        tensor = torch.empty(*shape, dtype=DTYPE, device=GPU)
        return tensor.normal_(0, shape[-1] ** -0.5) if len(shape) > 1 else tensor.normal_(1, 0.1)

    return read


def chain(decoder: FusedDecoder, n: int, length: int) -> None:
    """Set the inputs to a chain of n tokens behind `length` others."""
    ids = torch.randint(0, 1000, (n,))
    positions = torch.arange(length, length + n)
    decoder.inputs.fill(ids, positions, 0, length, torch.ones(n, n, dtype=torch.bool).tril())


def compile_passes(configs: Sequence[ModelConfig], workers: int) -> None:
    """Put the kernels of models into Triton's cache, by so many processes."""
    each = [(dataclasses.replace(one, n_layers=1), preset) for one in configs for preset in PRESETS]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.starmap(_compile_pass, each, 1)


def _compile_pass(config: ModelConfig, preset: int) -> None:
    """Launch everything that a pass of one preset of rows needs; one layer has all kernels."""
    decoder = random_fused(config, 256)
    chain(decoder, preset, 64)
    for logits in (False, True):
        decoder.launch(preset, logits=logits)
    torch.cuda.synchronize()


def graph_ms(launch: Callable[[], None], repeats: int = 25) -> float:
    """Median time of one replay of what `launch` enqueues, by device events."""
    return median(Graph(launch, GPU).times(repeats))


def rates() -> dict[str, float]:
    """Streaming rates in TB/s: reads and writes of a copy and of a scaling, reads alone."""
    size = 2**32
    source = torch.empty(size // 2, dtype=torch.bfloat16, device=GPU).normal_()
    target = torch.empty_like(source)
    found = {
        "copy": 2 * size / graph_ms(lambda: void(target.copy_(source)), 9) / 1e9,
        "scale": 2 * size / graph_ms(lambda: void(torch.mul(source, 2, out=target)), 9) / 1e9,
        "read": size / graph_ms(lambda: void(source.view(torch.int16).max()), 9) / 1e9,
    }
    return {name: round(rate, 3) for name, rate in found.items()}


def void(_: object) -> None:
    """Forget a value."""
