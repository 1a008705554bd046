"""An adapter laid over a model folder: low-rank changes merged into its weights, tokens respelled.

Adapters are folders in PEFT's file format (LoRA of linear layers and trained rows of the embedding)
whose config also names the control tokens that ids stand for once it is merged.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from umbrella_engine.errors import ModelMismatch, WeightsError
from umbrella_engine.interface import Progress, Report

ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
_PREFIX: Final = "base_model.model."
_ROWS: Final = ".token_adapter.trainable_tokens_delta"


class Adapter:
    """An adapter in memory."""

    def __init__(self, folder: Path) -> None:
        """Read it. Raises WeightsError."""
        self.folder = folder
        try:
            config = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
            tensors = load_file(folder / ADAPTER_WEIGHTS)
            self.sentinels: dict[str, int] = config.get("sentinels", {})
            self._scale = float(config["lora_alpha"]) / int(config["r"])
            self._row_ids: list[int] = config.get("trainable_token_indices") or []
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise WeightsError(
                f"{folder} holds no adapter that can be read ({error}); it takes "
                f"{ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}"
            ) from error
        self._tensors = {name.removeprefix(_PREFIX): one for name, one in tensors.items()}
        self._unused = set(self._tensors)

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """Give the weight `name` with what was learned for it, in its own dtype.

        Raises ModelMismatch where the shapes say that it was learned for another model.
        """
        layer = name.removesuffix(".weight")
        try:
            if (low := self._take(f"{layer}.lora_A.weight")) is not None:
                high = self._take(f"{layer}.lora_B.weight")
                assert high is not None, "the two come together"
                change = self._scale * (high.float() @ low.float())
                return (weight.float() + change).to(weight.dtype)
            if (rows := self._take(layer + _ROWS)) is not None:
                ids = torch.tensor(self._row_ids)
                return weight.index_copy(0, ids, rows.to(weight.dtype))
        except (RuntimeError, IndexError) as error:
            raise ModelMismatch(
                f"the adapter {self.folder} was made for another model: {name} is "
                f"{tuple(weight.shape)} ({error}). Nothing was changed; name the model it is for"
            ) from error
        return weight

    def check_used(self) -> None:
        """Raise ModelMismatch where it holds changes of weights that the model does not have."""
        if self._unused:
            raise ModelMismatch(
                f"the adapter {self.folder} was made for another model: there is no "
                f"{min(self._unused)} to change. Nothing was changed; name the model it is for"
            )

    def _take(self, name: str) -> Tensor | None:
        self._unused.discard(name)
        return self._tensors.get(name)


def merge(base: Path, adapter: Path, out: Path, report: Report) -> None:
    """Write the model of `base` with `adapter` merged into it to the empty folder `out`.

    Raises WeightsError and ModelMismatch.
    """
    learned = Adapter(adapter)
    shards = sorted(base.glob("*.safetensors"))
    for done, shard in enumerate(shards):
        message = f"merging {adapter.name} into {base.name}"
        report(Progress("converting", message, done, len(shards)))
        with safe_open(shard, "pt") as file:
            names = list(file.keys())
            tensors = {name: learned.merged(name, file.get_tensor(name)) for name in names}
        save_file(tensors, out / shard.name, {"format": "pt"})
    learned.check_used()
    for path in base.iterdir():
        if path.suffix in (".json", ".jinja"):
            shutil.copyfile(path, out / path.name)
    respell(out, learned.sentinels)


def respell(folder: Path, sentinels: Mapping[str, int]) -> None:
    """Give ids the spellings of control tokens in the tokenizer files of `folder`."""
    path = folder / "tokenizer.json"
    spec = json.loads(path.read_text("utf-8"))
    by_id = {token: spelling for spelling, token in sentinels.items()}
    vocabulary: dict[str, int] = spec["model"]["vocab"]
    spec["model"]["vocab"] = {by_id.get(i, text): i for text, i in vocabulary.items()}
    added: list[dict[str, Any]] = spec.setdefault("added_tokens", [])
    added[:] = [one for one in added if one["id"] not in by_id]
    plain = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    added += [{"id": i, "content": by_id[i], "special": True, **plain} for i in by_id]
    added.sort(key=lambda one: one["id"])
    path.write_text(json.dumps(spec, ensure_ascii=False), "utf-8")
    config = folder / "tokenizer_config.json"
    if config.exists():
        content = json.loads(config.read_text("utf-8"))
        for key, token in content.get("added_tokens_decoder", {}).items():
            token["content"] = by_id.get(int(key), token["content"])
        config.write_text(json.dumps(content, indent=2), "utf-8")
