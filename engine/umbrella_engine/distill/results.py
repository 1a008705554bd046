"""What training leaves behind: an adapter, a draft or a whole model, in the usual file formats."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from umbrella_engine.adapter import ADAPTER_CONFIG, ADAPTER_WEIGHTS, respell
from umbrella_engine.distill.draft import DraftModel
from umbrella_engine.distill.low_rank import learned
from umbrella_engine.model_config import SHARED_DRAFT

TOKENIZER_FILES: Final = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def save_adapter(
    folder: Path, model: PreTrainedModel, sentinels: Mapping[str, int], rank: int, alpha: float
) -> None:
    """Write what a model learned beside its own weights, as PEFT writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _small(tensor) for name, tensor in learned(model)}
    save_file(tensors, folder / ADAPTER_WEIGHTS, {"format": "pt"})
    layers = {name.split(".")[-3] for name in tensors if ".lora_A" in name}
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": alpha,
        "target_modules": sorted(layers),
        "trainable_token_indices": sorted(sentinels.values()),
        "sentinels": dict(sentinels),
    }
    _write_json(folder / ADAPTER_CONFIG, config)


def save_whole(
    folder: Path, model: PreTrainedModel, sentinels: Mapping[str, int], base: Path
) -> None:
    """Write a model all of whose weights were trained, with the tokenizer of its base."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)  # type: ignore[arg-type]
    for name in TOKENIZER_FILES:
        if (base / name).exists():
            shutil.copyfile(base / name, folder / name)
    respell(folder, sentinels)


def save_draft(folder: Path, draft: DraftModel, target: Path, figures: Mapping[str, Any]) -> None:
    """Write a draft; its tables stay with the target in the folder `target`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _small(tensor) for name, tensor in draft.state_dict().items()}
    tensors["output_ids"] = draft.output_ids.to(torch.int32).cpu().contiguous()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = draft.config.to_dict()
    config |= {"architectures": [SHARED_DRAFT], "model_type": "umbrella_draft", **figures}
    _write_json(folder / "config.json", config)
    for name in TOKENIZER_FILES:
        if (target / name).exists():
            shutil.copyfile(target / name, folder / name)


def _small(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.bfloat16).cpu().contiguous()


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, default=str) + "\n", "utf-8")
