"""Any decoder of transformers behind the verbs of `model.Decoder`.

The module is transformers' own; its attention and its cache are ours (`hf_attention`), positions
are handed in. Slower than `Decoder`, which computes the common families itself, and as exact:
`self_test` proves it for each model when it is loaded.
"""

from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging

from umbrella_engine.errors import UnsupportedModel, WeightsError
from umbrella_engine.hf_attention import NAME, Lanes, bind
from umbrella_engine.hf_config import HFConfig
from umbrella_engine.kv_cache import KVCache


class Passes(Protocol):
    """Passes of a module that need no host: `hf_graphs.CapturedPasses`."""

    def fits(self, n: int, n_tail: int, start: int) -> bool:
        """Whether n rows that begin at a slot can be run."""
        ...

    def run(self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor) -> Tensor:
        """Compute logits [n, vocab]; arguments as of `Decoder.forward`, on the host."""
        ...


class HFDecoder:
    """A module of transformers with the cache it writes to."""

    def __init__(self, config: HFConfig, module: PreTrainedModel, cache: KVCache) -> None:
        self.config = config
        self.cache = cache
        self.module = module
        self.device = module.device
        self.dtype = module.dtype
        self._lanes = Lanes(config, cache)
        self.captured: Passes | None = None
        self.bind()

    def bind(self) -> None:
        """Let the module see lanes as `forward` aims at them."""
        bind(self.module, self._lanes)

    @torch.inference_mode()
    def forward(
        self, ids: Tensor, positions: Tensor, lane: int, start: int, tail: Tensor, first_row: int
    ) -> Tensor:
        """Run n tokens through the model; see `Decoder.forward`.

        Logits of captured passes are valid until the next call.
        """
        rows, slots = tail.shape
        if self.captured is not None and self.captured.fits(rows, slots, start):
            return self.captured.run(ids, positions, lane, start, tail)[first_row:]
        ids, positions, tail = (each.to(self.device) for each in (ids, positions, tail))
        self._lanes.aim(lane, start, tail)
        n = ids.shape[0]
        logits: Tensor = self.module(
            input_ids=ids[None],
            position_ids=positions[None],
            past_key_values=self._lanes,
            use_cache=True,
            logits_to_keep=torch.arange(first_row, n, device=ids.device),
        ).logits[0]
        return logits[logits.shape[0] - (n - first_row) :]


def load_hf_decoder(
    folder: Path, config: HFConfig, cache: KVCache, dtype: torch.dtype, device: torch.device
) -> HFDecoder:
    """Read the safetensors of `folder` into transformers' module for it.

    On a GPU the weights pass through host memory, tensor by tensor. Raises WeightsError where
    files are damaged, UnsupportedModel where tensors are missing: they would be random.
    """
    bar_was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        loaded: Any = config.model_class.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=NAME,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"the weights in {folder} cannot be read: {error}") from error
    finally:
        if bar_was_on:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    module, found = loaded
    missing = sorted(found["missing_keys"])
    if missing:
        raise UnsupportedModel(
            f"the checkpoint {folder} lacks {len(missing)} tensors of a {config.architecture}, "
            f"among them {missing[0]}"
        )
    return HFDecoder(config, module.to(device), cache)
