"""What a fused projection adds to its product: a bias, or what a layer norm before it comes to.

A layer norm is linear but for two numbers a row, so its gain and shift pass through the projection
once, when the model is loaded: see `kernels.products.normed`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from umbrella_engine.model import Decoder


@dataclass(frozen=True, slots=True)
class Tables:
    """One table a projection: fp32 [2, out] with a layer norm before it, else its bias [out]."""

    qkv: list[Tensor]
    gate_up: list[Tensor]
    head: Tensor


@torch.inference_mode()
def tables(decoder: Decoder) -> Tables:
    """Compute them; a projection that adds nothing gets a tensor that is never read."""
    layer_norm = decoder.config.layer_norm

    def table(weight: Tensor, bias: Tensor | None, gain: Tensor, shift: Tensor | None) -> Tensor:
        if not layer_norm:
            return weight if bias is None else bias
        sums = [through(weight, gain)]
        sums.append(torch.zeros_like(sums[0]) if shift is None else through(weight, shift))
        if bias is not None:
            sums[1] += bias
        return torch.stack(sums)

    weights = decoder.weights
    return Tables(
        [
            table(one.qkv, one.qkv_bias, one.input_norm, one.input_norm_bias)
            for one in weights.layers
        ],
        [
            table(one.gate_up, one.gate_up_bias, one.post_norm, one.post_norm_bias)
            for one in weights.layers
        ],
        table(weights.head[: decoder.config.vocab], None, weights.norm, weights.norm_bias),
    )


def through(weight: Tensor, x: Tensor) -> Tensor:
    """Multiply a weight [out, in] by x [in] in fp32, a block of rows at a time."""
    wide = x.float()
    return torch.cat([block.float() @ wide for block in torch.split(weight, 4096)])
