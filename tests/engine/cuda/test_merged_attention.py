"""A prefix pass and a masked tree, merged by log-sum-exp, are tree attention; on a CPU."""

import pytest
import torch

from umbrella_engine.attention.libraries import TorchFlashOnCPU, installed
from umbrella_engine.attention.reference import ReferenceAttention
from umbrella_engine.cuda.inputs import Inputs
from umbrella_engine.cuda.merged_attention import MergedAttention
from umbrella_engine.cuda.tiles import PRESETS
from umbrella_engine.model_config import ModelConfig

CPU = torch.device("cpu")
KV, SIZE, CAPACITY = 2, 16, 1400


def random_tail(n: int, n_tail: int, generator: torch.Generator) -> torch.Tensor:
    """Every row sees itself and some of what lies before it."""
    mask = torch.rand(n, n_tail, generator=generator) < 0.5
    own = torch.arange(n)[:, None] + n_tail - n
    slots = torch.arange(n_tail)[None, :]
    return (mask & (slots < own)) | (slots == own)


@pytest.mark.parametrize("group", [1, 2, 5, 7])
@pytest.mark.parametrize("start", [0, 1, 63, 1000, CAPACITY - 64])
def test_merged_attention_equals_the_reference(group: int, start: int) -> None:
    heads = KV * group
    sizes = (1, heads * SIZE, heads, KV, SIZE, 64, 64)
    config = ModelConfig("LlamaForCausalLM", *sizes, 1e-6, 4096, 1e4, None, False, {})
    generator = torch.Generator().manual_seed(start)
    inputs = Inputs(CPU)
    attention = MergedAttention(config, inputs, TorchFlashOnCPU())
    reference = ReferenceAttention(group, torch.float32)
    for n in PRESETS:
        tail = random_tail(n, min(64, n + min(start, 9)), generator)
        length = start + n
        keys, values = torch.randn(2, 3, KV, CAPACITY, SIZE, generator=generator)
        inputs.fill(torch.zeros(n, dtype=torch.int64), torch.arange(n) + start, 1, start, tail)
        unwritten = slice(length, None)
        keys[:, :, unwritten] = values[:, :, unwritten] = float("nan")
        queries = torch.randn(64, heads * SIZE, generator=generator)
        mixed = torch.full_like(queries, float("nan"))
        attention(n, queries, keys, values, mixed)
        expected = reference(
            queries[:n].view(n, heads, SIZE).transpose(0, 1),
            keys[1, :, :length],
            values[1, :, :length],
            reference.prepare(tail, length),
            SIZE**-0.5,
        )
        assert torch.allclose(mixed[:n], expected, atol=1e-5)
        assert mixed[n:].isnan().all()


def test_what_is_not_usable_says_why() -> None:
    found, reasons = installed(torch.float32)
    assert not found
    assert reasons == dict.fromkeys(
        ("flash-attn 4", "flash-attn 2"), "it computes 16-bit numbers only"
    )
    found, reasons = installed(torch.bfloat16)
    assert {op.name for op in found} | set(reasons) == {"flash-attn 4", "flash-attn 2"}
