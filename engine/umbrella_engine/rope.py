"""Rotary position embedding: tables at load, rotation in the forward pass.

Scaled variants (linear, llama3, yarn) come from transformers' own table of formulas, imported only
when a model asks for one.
"""

import torch
from torch import Tensor

from umbrella_engine.model_config import ModelConfig


def rope_tables(
    config: ModelConfig, n_positions: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cosine and sine for positions 0 … n_positions, each [n_positions, head_dim].

    Computed in fp32 on the CPU, then cast, so that every device and dtype starts from one table.
    """
    inverse, scale = _inverse_frequencies(config)
    angles = torch.outer(torch.arange(n_positions, dtype=torch.float32), inverse)
    angles = torch.cat((angles, angles), dim=-1)
    return (
        (angles.cos() * scale).to(device=device, dtype=dtype),
        (angles.sin() * scale).to(device=device, dtype=dtype),
    )


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x [heads, n, head_dim] by the rows cos and sin [n, head_dim]."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def _inverse_frequencies(config: ModelConfig) -> tuple[Tensor, float]:
    if config.rope_scaling is None:
        exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        return 1.0 / config.rope_theta**exponents, 1.0
    from transformers import AutoConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    settings = {key: value for key, value in config.raw.items() if key != "model_type"}
    hf_config = AutoConfig.for_model(config.raw["model_type"], **settings)
    scaling = config.rope_scaling
    kind = scaling.get("rope_type") or scaling["type"]
    inverse, scale = ROPE_INIT_FUNCTIONS[kind](hf_config, torch.device("cpu"))
    return inverse.float(), float(scale)
