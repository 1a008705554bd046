"""A draft that reads and speaks through its target's tables (see `distill.draft`), ready to run.

Its folder holds the layers between: the embedding is the target's own, shared in memory where the
widths agree; the head is made of the target's rows for the tokens that the draft may speak.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from umbrella_engine.errors import ModelMismatch, UnsupportedModel, WeightsError
from umbrella_engine.kv_cache import KVCache
from umbrella_engine.language_model import ForwardPass
from umbrella_engine.model_config import ModelConfig
from umbrella_engine.weights import DecoderWeights, LayerDone, load_weights


@dataclass(frozen=True, slots=True)
class Tables:
    """A target's first and last table, [vocab, hidden] each."""

    embedding: Tensor
    head: Tensor


class ReducedOutput:
    """A `ForwardPass` whose logits are those of some tokens; the others get minus infinity."""

    def __init__(self, inner: ForwardPass, output_ids: Tensor, vocab: int) -> None:
        """output_ids: [tokens that `inner` has logits for] int64, on its device."""
        self.inner = inner
        self._ids = output_ids
        self._vocab = vocab

    @property
    def cache(self) -> KVCache:
        """Where keys and values go."""
        return self.inner.cache

    def forward(
        self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor, first_row: int
    ) -> Tensor:
        """Run n tokens through the model; see `Decoder.forward`."""
        logits = self.inner.forward(ids, positions, lane, start, tail, first_row)
        spread = logits.new_full((logits.shape[0], self._vocab), float("-inf"))
        return spread.index_copy_(1, self._ids, logits)


def load_shared_weights(
    folder: Path,
    config: ModelConfig,
    tables: Tables,
    dtype: torch.dtype,
    device: torch.device,
    layer_done: LayerDone = lambda _done, _total: None,
) -> tuple[ModelConfig, DecoderWeights, Tensor]:
    """Read the layers in `folder` and put them between `tables`.

    Gives the config of what is computed, whose vocabulary is what the draft may speak, the weights,
    and the ids of that vocabulary [n] int64. Raises WeightsError and ModelMismatch.
    """
    try:
        own = load_file(folder / "model.safetensors")
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"a weight file in {folder} cannot be read: {error}") from error
    ids = own["output_ids"].to(device, torch.int64)
    out = own["out_proj.weight"]
    if out.shape[0] != tables.head.shape[1] or int(ids[-1]) >= tables.head.shape[0]:
        raise ModelMismatch(
            f"{folder.name} was made for a target of width {out.shape[0]}, not "
            f"{tables.head.shape[1]}; name the target it was made for, or make a draft for this one"
        )
    head = (tables.head[ids].float() @ out.to(device).float()).to(dtype)
    embedding = tables.embedding
    if "in_proj.weight" in own:
        into = own["in_proj.weight"].to(device)
        embedding = (embedding.float() @ into.float().T).to(dtype)
    instead = {"model.embed_tokens.weight": embedding, "lm_head.weight": head}
    inner = replace(config, vocab=len(ids), tied_head=False)
    return inner, load_weights(folder, inner, dtype, device, layer_done, instead), ids


def read_tables(folder: Path, dtype: torch.dtype, device: torch.device) -> Tables:
    """Read a target's tables from its files, for one that is not computed by our own decoder.

    Raises UnsupportedModel where they are not named as Llama's are.
    """
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in ("model.embed_tokens.weight", "lm_head.weight"):
                if name in file.keys():  # noqa: SIM118
                    found[name] = file.get_tensor(name).to(device, dtype)
    embedding = found.get("model.embed_tokens.weight")
    if embedding is None:
        raise UnsupportedModel(
            f"{folder.name} has no model.embed_tokens.weight for its draft to read through; choose "
            "a draft with tables of its own"
        )
    return Tables(embedding, found.get("lm_head.weight", embedding))
