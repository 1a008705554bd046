"""Our engine beside transformers on one GPU: same weights, same prompts, interleaved in one run.

Usage: python -m tests.bench.bench_peers_gpu TOKENIZER_FOLDER [--target FOLDER] [--draft FOLDER]
           [--prompts 8] [--tokens 64] [--methods plain static dynamic lookup assisted]

Without `--target` the weights are noise in the shape of Qwen2.5-1.5B: good for the speed of methods
that do not speculate, which does not depend on what is written. Prompts are those of
`tests.bench.prompts` ("fresh"). Each method computes 1 and 1 + tokens new tokens of each prompt;
the difference is its decoding. With `--draft`, ours also speculates. With `--target` every token
that ours gives is held against a forward pass of transformers in fp32: the gap is what the best
logit is above that of the token. The last line is JSON.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from tests.bench.gpu_models import DTYPE, GPU, SHAPES, fused
from tests.bench.prompts import prompts
from umbrella_engine.config import DraftConfig, DraftPreset
from umbrella_engine.cuda.assemble import capture
from umbrella_engine.draft.none import NoDrafter
from umbrella_engine.draft.references import References
from umbrella_engine.draft.texts import Texts
from umbrella_engine.engine import SpeculativeEngine
from umbrella_engine.healing import Healing
from umbrella_engine.interface import EngineInfo, Limits
from umbrella_engine.language_model import LanguageModel
from umbrella_engine.model_config import ModelConfig, read_model_config
from umbrella_engine.prefix_cache import PrefixCache
from umbrella_engine.tokenizer import load_tokenizer
from umbrella_engine.weights import pack_weights

CAPACITY = 4096
Method = Callable[[Sequence[int], int], list[int]]
console = Console(width=150)


def transformers_model(folder: Path | None) -> Any:
    if folder is not None:
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPE)
        return loaded.to(GPU).eval()
    shape = SHAPES["1.5B"]
    config = Qwen2Config(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )
    with GPU:
        model: Any = Qwen2ForCausalLM(config)
    return model.to(DTYPE).eval()


def language_model(module: Any, config: ModelConfig) -> LanguageModel:
    """Our decoder over the same tensors, packed."""
    tensors = dict(module.named_parameters())
    head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])

    def read(name: str) -> torch.Tensor | None:
        tensor = head if name == "lm_head.weight" else tensors.get(name)
        return None if tensor is None else tensor.detach()

    return LanguageModel(fused(config, pack_weights(config, read), CAPACITY), 1024)


def ours(
    target: LanguageModel, draft: LanguageModel | None, tokenizer: Any, preset: DraftPreset
) -> Method:
    captured = capture(target, draft, (preset,), DraftConfig(), lambda _done, _total: None)
    assert captured is not None
    loop = captured.loop(preset, Texts(tokenizer.fim, References()))
    info = EngineInfo("pair", "target", "draft", "cuda", "bfloat16", CAPACITY - 256)
    healing = Healing(tokenizer)
    engine = SpeculativeEngine(info, tokenizer, target, NoDrafter(), healing, device=loop)

    def generate(ids: Sequence[int], count: int) -> list[int]:
        for model in (target, draft):
            if model is not None:  # nothing is reused from the last time
                model.lanes = PrefixCache(model.decoder.cache.n_lanes)
        steps = engine.generate(ids, Limits(count), lambda: False)
        return [token for step in steps for token in step.tokens]

    return generate


def theirs(module: Any, **options: Any) -> Method:
    @torch.no_grad()
    def generate(ids: Sequence[int], count: int) -> list[int]:
        text = torch.tensor([list(ids)], device=GPU)
        out = module.generate(
            text,
            attention_mask=torch.ones_like(text),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
            **options,
        )
        new: list[int] = out[0, len(ids) :].tolist()
        return new

    return generate


def timed(method: Method, ids: Sequence[int], count: int) -> tuple[float, list[int]]:
    torch.cuda.synchronize()
    began = time.perf_counter()
    tokens = method(ids, count)
    torch.cuda.synchronize()
    return time.perf_counter() - began, tokens


@torch.inference_mode()
def gaps(module: Any, texts: Sequence[tuple[Sequence[int], list[int]]]) -> list[float]:
    """How far below the best each token is, in the logits of a reference in fp32."""
    reference = module.float()
    found: list[float] = []
    for ids, new in texts:
        logits = reference(torch.tensor([[*ids, *new[:-1]]], device=GPU)).logits[0, len(ids) - 1 :]
        chosen = logits.gather(1, torch.tensor(new, device=GPU)[:, None])[:, 0]
        found += (logits.max(-1).values - chosen).tolist()
    return found


@dataclass(slots=True)
class Row:
    """One method's figures, prompt by prompt."""

    decode: list[float] = field(default_factory=list)  # tokens a second behind the first
    first_ms: list[float] = field(default_factory=list)
    same: int = 0

    def summary(self) -> dict[str, float]:
        return {
            "decode_tokens_per_s": round(median(self.decode), 1),
            "one_token_ms": round(median(self.first_ms), 2),
            "same_as_ours": self.same,
        }


def gather(chosen: argparse.Namespace, tokenizer: Any, module: Any) -> dict[str, Method]:
    """Give the methods by name, ours without a draft first."""
    config = read_model_config(chosen.target) if chosen.target else SHAPES["1.5B"]
    target = language_model(module, config)
    methods: dict[str, Method] = {"ours, plain": ours(target, None, tokenizer, "none")}
    helper = None
    if chosen.draft:
        helper = transformers_model(chosen.draft)
        draft = language_model(helper, read_model_config(chosen.draft))
        presets: tuple[DraftPreset, ...] = ("chain", "static", "adaptive")
        for preset in presets:
            methods[f"ours, {preset}"] = ours(target, draft, tokenizer, preset)
    options: dict[str, dict[str, Any]] = {
        "static": {"cache_implementation": "static"},
        "dynamic": {},
        "lookup": {"prompt_lookup_num_tokens": 10},
        "assisted": {"assistant_model": helper},
    }
    for name in chosen.methods:
        if name in options and (name != "assisted" or helper is not None):
            methods[f"transformers, {name}"] = theirs(module, **options[name])
    return methods


def race(methods: dict[str, Method], asked: Sequence[Sequence[int]], tokens: int) -> dict[str, Row]:
    """Let every method answer every prompt, taking turns in going first."""
    names = list(methods)
    rows = {name: Row() for name in names}
    for name, method in methods.items():
        began = time.perf_counter()
        for _ in range(2):
            method(asked[0], tokens + 1)
        console.print(f"{name}: warm after {time.perf_counter() - began:.1f} s")
    for place, ids in enumerate(asked):
        answers = {}
        turn = place % len(names)
        for name in names[turn:] + names[:turn]:
            one, _ = timed(methods[name], ids, 1)
            whole, answers[name] = timed(methods[name], ids, tokens + 1)
            rows[name].first_ms.append(one * 1e3)
            rows[name].decode.append(tokens / (whole - one))
        for name in names:
            rows[name].same += answers[name] == answers[names[0]]
        console.print(f"after {place + 1}:", {name: row.summary() for name, row in rows.items()})
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("tokenizer", type=Path)
    arguments.add_argument("--target", type=Path)
    arguments.add_argument("--draft", type=Path)
    arguments.add_argument("--prompts", type=int, default=8)
    arguments.add_argument("--tokens", type=int, default=64)
    arguments.add_argument("--methods", nargs="*", default=["static", "dynamic", "lookup"])
    arguments.add_argument("--gap-prompts", type=int, default=100)
    chosen = arguments.parse_args()
    tokenizer = load_tokenizer(chosen.tokenizer)
    module = transformers_model(chosen.target)
    methods = gather(chosen, tokenizer, module)
    asked = [prompt.ids for prompt in prompts("fresh", chosen.prompts, tokenizer)]
    asked.sort(key=len, reverse=True)  # a compiled peer sees its longest prompt first
    rows = race(methods, asked, chosen.tokens)
    found: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(),
        "weights": chosen.target.name if chosen.target else "noise",
        "prompt_tokens": [len(ids) for ids in asked],
        "tokens": chosen.tokens,
        "methods": {name: row.summary() for name, row in rows.items()},
    }
    table = Table("method", "tok/s decoding", "one token, ms", "same text as ours, plain")
    for name, row in found["methods"].items():
        cells = f"{row['decode_tokens_per_s']:.0f}", f"{row['one_token_ms']:.1f}"
        table.add_row(name, *cells, f"{row['same_as_ours']}/{len(asked)}")
    console.print(table)
    if chosen.target and chosen.gap_prompts:
        write = methods["ours, adaptive" if chosen.draft else "ours, plain"]
        wanted = [prompt.ids for prompt in prompts("fresh", chosen.gap_prompts, tokenizer)]
        each = gaps(module, [(ids, write(ids, 32)) for ids in wanted])
        beside = sum(gap > 0 for gap in each) / len(each)
        found["gap"] = {"tokens": len(each), "largest": max(each), "share_not_best": beside}
        console.print(found["gap"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
