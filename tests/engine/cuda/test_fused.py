"""The fused kernels against the plain decoder, and the device's steps under the law."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.tiny import load_tiny, save_family
from tests.law import NEVER, Request, Scenario, World, check, law
from umbrella_engine.attention.flash import FlashAttention
from umbrella_engine.attention.reference import ReferenceAttention
from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.draft import presets
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.interface import EngineInfo
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.model import Decoder
from umbrella_engine.model_config import ModelConfig
from umbrella_engine.weights import pack_weights

pytestmark = pytest.mark.gpu

GPU = torch.device("cuda")
ADAPTIVE: tuple[DraftPreset, ...] = ("adaptive",)
ROWS = [  # rows, first slot, slots of the tail
    (1, 0, 1),
    (1, 5, 1),
    (5, 20, 9),
    (8, 300, 8),
    (17, 40, 17),
    (33, 500, 64),
    (64, 0, 64),
]
# hidden, heads, key heads, head size, inner, vocabulary
SIZES = {
    "tiny": (64, 6, 2, 32, 96, 130),
    "0.5B": (896, 14, 2, 64, 4864, 5000),
    "SmolLM2": (576, 9, 3, 64, 1536, 4915),
    "1.5B": (1536, 12, 2, 128, 8960, 3000),
    "32B": (5120, 40, 8, 128, 1024, 500),
}


# architecture, what is switched on, whether all projections have biases
VARIANTS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "granite": (
        "GraniteForCausalLM",
        {
            "embedding_scale": 12.0,
            "residual_scale": 0.22,
            "attention_scale": 0.02,
            "logits_scale": 0.125,
        },
        False,
    ),
    "llama with biases": ("LlamaForCausalLM", {}, True),
    "mistral": ("MistralForCausalLM", {"window": 100}, False),
    "starcoder2": (
        "Starcoder2ForCausalLM",
        {"layer_norm": True, "gated": False, "activation": "gelu_pytorch_tanh", "window": 300},
        True,
    ),
}


def random_decoder(
    size: str,
    dtype: torch.dtype,
    architecture: str,
    capacity: int,
    *,
    biases: bool = False,
    **changes: Any,
) -> Decoder:
    """Two layers of a given size with random weights and a cache full of noise."""
    hidden, heads, kv, head, inner, vocab = SIZES[size]
    sizes = (2, hidden, heads, kv, head, inner, vocab)
    config = ModelConfig(architecture, *sizes, 1e-6, 32768, 1e6, None, False, {}, **changes)
    generator = torch.Generator(device=GPU).manual_seed(1)
    queries, keys = heads * head, kv * head
    shapes = {
        "q_proj": (queries, hidden),
        "k_proj": (keys, hidden),
        "v_proj": (keys, hidden),
        "o_proj": (hidden, queries),
        "gate_proj": (inner, hidden),
        "up_proj": (inner, hidden),
        "down_proj": (hidden, inner),
        "c_fc": (inner, hidden),
        "c_proj": (hidden, inner),
        "embed_tokens": (vocab, hidden),
        "lm_head": (vocab, hidden),
    }
    qwen3 = architecture == "Qwen3ForCausalLM"

    def read(name: str) -> torch.Tensor | None:
        part, kind = name.split(".")[-2:]
        own = not qwen3 and part in {"q_proj", "k_proj", "v_proj"}
        has_bias = config.layer_norm if "norm" in part else biases or own
        if kind == "bias" and not has_bias:
            return None
        if part in {"q_norm", "k_norm"}:
            shape: tuple[int, ...] = (head,)
            if not qwen3:
                return None
        elif kind == "bias":
            shape = shapes.get(part, (hidden,))[:1]
        else:
            shape = shapes.get(part, (hidden,))
        noise = torch.randn(*shape, generator=generator, device=GPU)
        scaled = noise * shape[-1] ** -0.5 if len(shape) > 1 else (kind != "bias") + 0.3 * noise
        return scaled.to(dtype)

    cache = KVCache(config, 2, capacity, dtype, GPU)
    cache.keys.normal_(generator=generator)
    cache.values.normal_(generator=generator)
    weights = pack_weights(config, read)
    attention = ReferenceAttention(heads // kv, dtype, config.window)
    return Decoder(config, weights, cache, attention)


def random_tail(n: int, n_tail: int, generator: torch.Generator) -> torch.Tensor:
    """Every row sees itself and some of what lies before it."""
    mask = torch.rand(n, n_tail, generator=generator) < 0.5
    own = torch.arange(n)[:, None] + n_tail - n
    slots = torch.arange(n_tail)[None, :]
    return (mask & (slots < own)) | (slots == own)


def distance(ours: torch.Tensor, reference: torch.Tensor) -> float:
    return float((ours.float() - reference.float()).norm() / reference.float().norm())


@pytest.mark.parametrize("architecture", ["Qwen2ForCausalLM", "Qwen3ForCausalLM"])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("size", SIZES)
def test_a_pass_equals_the_plain_decoder(
    size: str, dtype: torch.dtype, limit: float, architecture: str
) -> None:
    check_passes(random_decoder(size, dtype, architecture, capacity=700), limit)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("size", ["tiny", "0.5B", "1.5B"])
def test_a_pass_of_each_family_equals_the_plain_decoder(
    size: str, dtype: torch.dtype, limit: float, variant: str
) -> None:
    architecture, changes, biases = VARIANTS[variant]
    plain = random_decoder(size, dtype, architecture, capacity=700, biases=biases, **changes)
    check_passes(plain, limit)


def check_passes(plain: Decoder, limit: float) -> None:
    from umbrella_engine.cuda.assemble import fuse
    from umbrella_engine.cuda.support import reason_against

    assert not reason_against(plain)
    fused = fuse(plain)
    generator = torch.Generator().manual_seed(1)
    for n, start, n_tail in ROWS:
        ids = torch.randint(0, plain.config.vocab, (n,), generator=generator)
        tail = random_tail(n, n_tail, generator)
        positions = start + n - n_tail + tail.sum(1) - 1
        before = plain.cache.keys.clone(), plain.cache.values.clone()
        expected = plain.forward(ids, positions, 1, start, tail, 0)
        written = plain.cache.keys.clone(), plain.cache.values.clone()
        plain.cache.keys.copy_(before[0])
        plain.cache.values.copy_(before[1])
        ours = fused.forward(ids, positions, 1, start, tail, 0)
        assert distance(ours, expected) < limit
        assert distance(plain.cache.keys, written[0]) < limit
        assert distance(plain.cache.values, written[1]) < limit
        likely = torch.log_softmax(ours, -1).max(-1).values
        assert torch.allclose(fused.log_probs[:n], likely, atol=1e-3)


@pytest.mark.parametrize("group", [1, 2, 5, 6, 7])
@pytest.mark.parametrize("length", [1, 7, 64, 1000, 4096, 32000])
def test_tree_attention_equals_the_reference(group: int, length: int) -> None:
    from umbrella_engine.cuda.decoder import FusedDecoder
    from umbrella_engine.cuda.tiles import PRESETS

    kv, head = 2, 64
    SIZES["attention"] = (kv * group * head, kv * group, kv, head, 64, 64)
    plain = random_decoder("attention", torch.float32, "Qwen2ForCausalLM", length + 70)
    fused = FusedDecoder(plain, early_start=False)
    generator = torch.Generator().manual_seed(length)
    reference = ReferenceAttention(group, torch.float32)
    for n in PRESETS:
        tail = random_tail(n, min(n + 5, 64, n + length - 1), generator)
        start = length - 1
        ids = torch.zeros(n, dtype=torch.int64)
        positions = start + n - tail.shape[1] + tail.sum(1) - 1
        fused.inputs.fill(ids, positions, 1, start, tail)
        fused._queries.normal_()
        fused._attend(n, 0)
        queries = fused._queries[:n].view(n, -1, head).transpose(0, 1)
        keys, values = plain.cache.read(0, 1, start + n)
        mask = reference.prepare(tail.cuda(), start + n)
        expected = reference(queries, keys, values, mask, head**-0.5)
        assert distance(fused._mixed[:n], expected) < 1e-5


@pytest.mark.parametrize(("chunk", "length"), [(70, 70), (1024, 1024), (300, 2000)])
def test_prefill_through_flash_equals_the_reference(chunk: int, length: int) -> None:
    generator = torch.Generator(device=GPU).manual_seed(2)
    queries = torch.randn(14, chunk, 64, generator=generator, device=GPU).bfloat16()
    keys, values = torch.randn(2, 2, length, 64, generator=generator, device=GPU).bfloat16()
    tail = torch.ones(chunk, chunk, dtype=torch.bool, device=GPU).tril()
    found = [
        attention(queries, keys, values, attention.prepare(tail, length), 0.125)
        for attention in (FlashAttention(7, torch.bfloat16), ReferenceAttention(7, torch.bfloat16))
    ]
    assert distance(*found) < 1e-2


class DeviceWorld(World):
    """The law's world with both models on the GPU, and one engine for all scenarios."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._engine: SpeculativeEngine | None = None

    def engine(self, scenario: Scenario) -> SpeculativeEngine:
        from umbrella_engine.cuda.assemble import capture
        from umbrella_engine.draft.references import References
        from umbrella_engine.draft.texts import Texts

        if self._engine is None:
            options = {"capacity": 460, "chunk_tokens": 8, "device": "cuda"}
            target = load_tiny(self.folder / "target", lanes=4, **options)  # type: ignore[arg-type]
            draft = load_tiny(self.folder / "near", lanes=16, **options)  # type: ignore[arg-type]
            references = References(2, max_tokens=100)
            texts = Texts(self.tokenizer.fim, references)
            config = DraftConfig()
            captured = capture(target, draft, ADAPTIVE, config, lambda _d, _t: None)
            assert captured is not None
            loop = captured.loop("adaptive", texts)
            parts = self._parts(scenario, "near", references)
            drafter = presets.make("adaptive", replace(parts, model=None))
            info = EngineInfo("tiny", "target", "near", "cuda", "float32", 256)
            self._engine = SpeculativeEngine(
                info,
                self.tokenizer,
                target,
                drafter,
                self.healing,
                references=references,
                device=loop,
            )
        return self._engine


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DeviceWorld:
    return DeviceWorld(tmp_path_factory.mktemp("device"))


def test_the_law_on_the_device(world: DeviceWorld) -> None:
    law(world, 150)()


def test_a_thousand_requests_leave_memory_as_it_was(world: DeviceWorld) -> None:
    generator = torch.Generator().manual_seed(5)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    def requests() -> tuple[Request, ...]:
        return tuple(
            Request(
                ids=tuple(number(0, 50) for _ in range(number(1, 60))),
                max_tokens=12,
                owed=b"",
                cancel_at=number(1, 12) if number(0, 3) == 0 else NEVER,
                close_at=number(1, 4) if number(0, 4) == 0 else NEVER,
                sampled=False,
                remembered=False,
            )
            for _ in range(4)
        )

    held = 0
    for turn in range(250):
        rounds, order = (requests(),), tuple(number(0, 4) for _ in range(9))
        check(world, Scenario("adaptive", DraftConfig(), False, rounds, order))
        if turn == 25:
            held = torch.cuda.memory_allocated()
    assert torch.cuda.memory_allocated() == held


def test_a_family_of_transformers_takes_no_fused_path(tmp_path: Path) -> None:
    from umbrella_engine.cuda.assemble import capture

    save_family("hf-gemma2", tmp_path)
    target = load_tiny(tmp_path, device="cuda")
    assert capture(target, None, ADAPTIVE, DraftConfig(), lambda _d, _t: None) is None


@pytest.mark.parametrize(("softcap", "window"), [(5.0, 0), (0.0, 12), (8.0, 7)])
def test_capped_scores_and_windows_are_honoured(softcap: float, window: int) -> None:
    from umbrella_engine.cuda.inputs import Inputs
    from umbrella_engine.cuda.tree_attention import TreeAttention

    config = random_decoder("tiny", torch.float32, "Qwen2ForCausalLM", 100).config
    heads, kv, head = config.n_heads, config.n_kv_heads, config.head_dim
    inputs = Inputs(GPU)
    attention = TreeAttention(
        config, inputs, exact=True, options={"PDL": False}, softcap=softcap, window=window
    )
    generator = torch.Generator().manual_seed(4)
    keys, values = torch.randn(2, 2, kv, 120, head, generator=generator).cuda()
    for preset, n, start, n_tail in ((1, 1, 50, 1), (8, 5, 40, 9), (16, 16, 0, 16)):
        tail = random_tail(n, n_tail, generator)
        positions = start + n - n_tail + tail.sum(1) - 1
        inputs.fill(torch.zeros(n, dtype=torch.int64), positions, 1, start, tail)
        queries = torch.randn(64, heads * head, generator=generator).cuda()
        mixed = torch.full_like(queries, float("nan"))
        attention(preset, queries, keys, values, mixed)
        length = start + n
        seen = torch.ones(n, length, dtype=torch.bool)
        seen[:, length - n_tail :] = tail
        if window:
            slots = torch.arange(length - n_tail)
            seen[:, : length - n_tail] &= positions[:, None] - slots[None] < window
        wide = keys[1, :, :length].repeat_interleave(heads // kv, 0)
        scores = torch.einsum("mhd,hsd->hms", queries[:n].view(n, heads, head), wide)
        scores = scores * head**-0.5
        scores = softcap * torch.tanh(scores / softcap) if softcap else scores
        shares = scores.masked_fill(~seen.cuda(), float("-inf")).softmax(-1)
        wide = values[1, :, :length].repeat_interleave(heads // kv, 0)
        expected = torch.einsum("hms,hsd->mhd", shares, wide).reshape(n, -1)
        assert distance(mixed[:n], expected) < 1e-5


def test_a_stepper_equals_its_slow_twin() -> None:
    from tests.engine.cuda.plain_stepper import PlainStepper
    from umbrella_engine.cuda.assemble import fuse
    from umbrella_engine.cuda.device_loop import Start
    from umbrella_engine.cuda.shapes import PLAIN, TreeShape
    from umbrella_engine.cuda.stepper import Stepper

    copying = TreeShape(0, 1, (4, 2)), TreeShape(4, 4, (10, 5)), TreeShape(2, 1, (5,))
    shapes = (PLAIN, TreeShape(2), TreeShape(4, 4), *copying)
    plain = [random_decoder("tiny", torch.float32, "Qwen2ForCausalLM", 300) for _ in range(2)]
    for layer in plain[1].weights.layers:
        layer.gate_up.add_(0.1 * layer.gate_up.std() * torch.randn_like(layer.gate_up))
    stepper = Stepper(fuse(plain[0]), fuse(plain[1]), shapes, text_tokens=1024)
    start = Start(10, (4, 3), 1, 1)  # behind the noise in the cache
    before = [(model.cache.keys.clone(), model.cache.values.clone()) for model in plain]

    def written(one: Any, text: list[int], order: list[TreeShape]) -> list[Any]:
        for model, (keys, values) in zip(plain, before, strict=True):
            model.cache.keys.copy_(keys)
            model.cache.values.copy_(values)
        one.recall(text)
        one.begin(start, None)
        return [one.step(shape).read() for shape in order]

    truth = [
        token
        for step in written(PlainStepper(plain[0], plain[1]), [3], [PLAIN] * 40)
        for token in step[0]
    ]
    text = [4, 3, *truth[:9], 1, -1, 3, *truth[:4], 2, 4, 3, *truth[:20], 6, 7, -1, 4, 3]
    order = [shapes[turn % 5 + 1 if turn < 12 else 3 * (turn % 2)] for turn in range(16)]
    order.sort(key=lambda shape: not shape.depth)  # a draft that has not read does not draft
    found = [written(one, text, order) for one in (stepper, PlainStepper(plain[0], plain[1]))]
    assert any(step[2].copied > 3 for step in found[0])
    for ours, twins in zip(*found, strict=True):
        assert ours[0] == twins[0]
        assert ours[1] == pytest.approx(twins[1], abs=1e-3)
        assert ours[2] == twins[2]
