"""How far below the best our tokens are, in the logits of transformers in fp32, on a GPU.

Usage: python -m tests.bench.bench_gap TOKENIZER_FOLDER --target FOLDER [--draft FOLDER]
           [--prompts 100] [--tokens 32]

Our engine writes in bf16 behind prompts of `tests.bench.prompts` ("fresh"), with `--draft` also
speculating; then every token is held against a forward pass of transformers over the same weights:
the gap is what the best logit is above that of the token. Speeds beside transformers are measured
by `umbrella bench peers`. The last line is JSON.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import AutoModelForCausalLM

from tests.bench.gpu_models import DTYPE, GPU, fused
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


def transformers_model(folder: Path) -> Any:
    loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPE)
    return loaded.to(GPU).eval()


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


def writer(chosen: argparse.Namespace, tokenizer: Any, module: Any) -> Method:
    """Give our engine over the weights of `module`, speculating where there is a draft."""
    target = language_model(module, read_model_config(chosen.target))
    if not chosen.draft:
        return ours(target, None, tokenizer, "none")
    helper = transformers_model(chosen.draft)
    draft = language_model(helper, read_model_config(chosen.draft))
    return ours(target, draft, tokenizer, "adaptive")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("tokenizer", type=Path)
    arguments.add_argument("--target", type=Path, required=True)
    arguments.add_argument("--draft", type=Path)
    arguments.add_argument("--prompts", type=int, default=100)
    arguments.add_argument("--tokens", type=int, default=32)
    chosen = arguments.parse_args()
    tokenizer = load_tokenizer(chosen.tokenizer)
    module = transformers_model(chosen.target)
    write = writer(chosen, tokenizer, module)
    asked = [prompt.ids for prompt in prompts("fresh", chosen.prompts, tokenizer)]
    texts = []
    for done, ids in enumerate(asked):
        texts.append((ids, write(ids, chosen.tokens)))
        if done % 10 == 9:
            console.print(f"{done + 1} of {len(asked)} written")
    each = gaps(module, texts)
    found: dict[str, Any] = {
        "gpu": torch.cuda.get_device_name(),
        "weights": chosen.target.name,
        "speculating": chosen.draft is not None,
        "tokens": len(each),
        "largest": max(each),
        "share_not_best": sum(gap > 0 for gap in each) / len(each),
    }
    console.print(found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
