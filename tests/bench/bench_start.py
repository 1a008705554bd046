"""How long the engine takes to load, phase by phase: kernels compiled first, then found on disk.

Usage: python -m tests.bench.bench_start [--target 7B] [--draft 0.5B] [--device auto] [--warm 3]
           [--folder DIRECTORY]

`--target` and `--draft` are shapes of Qwen2.5 or folders with safetensors; shapes are written once,
as random bfloat16 folders below `--folder` (7B: 15 GB), and read from there. Each load is a process
of its own: one with an empty Triton cache, then some with the cache that it filled; files are in
the page cache but for a first read. Times are seconds since the process was started; phases are
what the engine reports. The last line is JSON, with the medians of the warm loads.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from rich.console import Console
from safetensors.torch import save_file

from tests import bpe
from umbrella_engine.config import DraftConfig, EngineConfig, ModelSource, PairConfig
from umbrella_engine.interface import Limits, Progress

# layers, hidden, heads, key heads, inner, vocabulary
SHAPES = {
    "tiny": (2, 64, 4, 2, 96, 4096),
    "0.5B": (24, 896, 14, 2, 4864, 151936),
    "1.5B": (28, 1536, 12, 2, 8960, 151936),
    "7B": (28, 3584, 28, 4, 18944, 152064),
}
LAYERS_A_FILE = 4
PROMPT = "def add(a, b):\n    return"


def write(shape: str, folder: Path) -> Path:
    """Write a random model of a shape unless it is there; gives its folder."""
    folder = folder / shape
    if (folder / "complete").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    layers, hidden, heads, kv, inner, vocab = SHAPES[shape]
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": inner,
        "vocab_size": vocab,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
    }
    bpe.write(folder, "fim")
    (folder / "config.json").write_text(json.dumps(config))
    head, device = hidden // heads, "cuda" if torch.cuda.is_available() else "cpu"

    def noise(*shape: int) -> torch.Tensor:
        values: torch.Tensor = torch.randn(*shape, device=device) / shape[-1] ** 0.5
        return values.to(torch.bfloat16).cpu()

    parts = {
        "self_attn.q_proj": (heads * head, hidden),
        "self_attn.k_proj": (kv * head, hidden),
        "self_attn.v_proj": (kv * head, hidden),
        "self_attn.o_proj": (hidden, heads * head),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    layer = {f"{name}.weight": noise(*sizes) for name, sizes in parts.items()}
    layer |= {
        f"self_attn.{part}_proj.bias": layer[f"self_attn.{part}_proj.weight"][:, 0].clone()
        for part in "qkv"
    }
    ones = torch.ones(hidden, dtype=torch.bfloat16)
    layer |= {"input_layernorm.weight": ones, "post_attention_layernorm.weight": ones.clone()}
    for first in range(0, layers, LAYERS_A_FILE):
        some = range(first, min(first + LAYERS_A_FILE, layers))
        # the file holds a copy for each layer, whatever they share in memory
        tensors = {
            f"model.layers.{i}.{name}": one.clone() for i in some for name, one in layer.items()
        }
        save_file(tensors, folder / f"model-{first:03}.safetensors")
    ends = {
        "model.embed_tokens.weight": noise(vocab, hidden),
        "lm_head.weight": noise(vocab, hidden),
    }
    save_file({**ends, "model.norm.weight": ones}, folder / "model-ends.safetensors")
    (folder / "complete").touch()
    return folder


def load_once(target: str, draft: str, device: str) -> dict[str, float]:
    """Load in this process and answer once; gives seconds by phase, in their order."""
    from umbrella_engine.load import load

    began = psutil.Process().create_time()
    marks: list[tuple[str, float]] = [("imports", began)]

    def note(progress: Progress) -> None:
        label = progress.message.partition(",")[0].partition(":")[0]
        if label != marks[-1][0]:
            marks.append((label, time.time()))

    marks.append(("reading configuration and vocabulary", time.time()))
    pair = PairConfig(
        name="bench",
        target=ModelSource(path=target),
        draft=ModelSource(path=draft) if draft else None,
    )
    with tempfile.TemporaryDirectory() as models:
        settings = EngineConfig(device=device)
        engine = load(pair, settings, DraftConfig(), Path(models), note, offline=True)
    marks.append(("first answer", time.time()))
    ids = engine.tokenizer.encode(PROMPT)
    for _ in engine.generate(ids, Limits(16), lambda: False):
        pass
    marks.append(("", time.time()))
    taken: dict[str, float] = {}
    for (label, start), (_, end) in pairwise(marks):
        taken[label] = round(taken.get(label, 0.0) + end - start, 3)
    ready = marks[-2][1] - began
    return {**taken, "ready": round(ready, 3), "answered": round(marks[-1][1] - began, 3)}


def run(arguments: argparse.Namespace, cache: str) -> dict[str, float]:
    """Load in a process of its own with a given Triton cache."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.bench_start",
        "--once",
        "--device",
        arguments.device,
        "--target",
        arguments.target,
        "--draft",
        arguments.draft,
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "TRITON_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="7B")
    parser.add_argument("--draft", default="0.5B", help='"" for none')
    parser.add_argument("--device", default="auto")
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "start-models")
    parser.add_argument("--once", action="store_true", help="load in this process, for the others")
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(load_once(arguments.target, arguments.draft, arguments.device)))
        return
    console, names = Console(), (arguments.target, arguments.draft)
    for role in ("target", "draft"):
        name = getattr(arguments, role)
        if name in SHAPES:
            setattr(arguments, role, str(write(name, arguments.folder)))
    with tempfile.TemporaryDirectory() as cache:
        cold = run(arguments, cache)
        console.print("cold", cold)
        warm = []
        for _ in range(arguments.warm):
            warm.append(run(arguments, cache))
            console.print("warm", warm[-1])
    found: dict[str, Any] = {
        "bench": "start",
        "target": names[0],
        "draft": names[1],
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "cold": cold,
        "warm": {label: median(each[label] for each in warm) for label in warm[0]},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
